"""How a command shows that it is getting on."""

import logging
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

logger = logging.getLogger("producer")


class RateColumn(ProgressColumn):
    """Things a second."""

    def render(self, task: Task) -> Text:
        """Return the rate of the last seconds; of the whole at the end."""
        return Text(f"{task.finished_speed or task.speed or 0:,.0f}/s")


def listings_progress() -> Progress:
    """Return a bar with count, rate and time left."""
    return _progress(MofNCompleteColumn(), RateColumn())


def bytes_progress() -> Progress:
    """Return a bar with bytes, rate and time left."""
    return _progress(DownloadColumn(), TransferSpeedColumn())


def _progress(*columns: ProgressColumn) -> Progress:
    """Return a bar on the standard error; none where nobody watches, as under cron."""
    console = Console(stderr=True)
    around = (TextColumn("{task.description}"), BarColumn(), *columns, TimeRemainingColumn())
    return Progress(*around, console=console, disable=not console.is_terminal)


def telling(progress: Progress) -> Callable[[str], None]:
    """Return what tells that work waits, or with nothing that it goes on: beside the bar, or in the log without one."""

    def tell(word: str) -> None:
        if progress.disable:
            logger.info("%s", word or "going on")
        else:
            progress.console.print(word or "going on")

    return tell

"""Progress bars for long work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

#: told the work that was done since the last time
Advance = Callable[[int], None]


@contextmanager
def counting() -> Iterator[Callable[[str, int], Advance]]:
    """Give `track(what, total)`: a bar that counts things, with the time left."""
    with _bars(MofNCompleteColumn()) as track:
        yield track


@contextmanager
def measuring() -> Iterator[Callable[[str, int], Advance]]:
    """Give `track(what, total)`: a bar that counts bytes, with their rate and the time left."""
    with _bars(DownloadColumn(), TransferSpeedColumn()) as track:
        yield track


@contextmanager
def _bars(*columns: ProgressColumn) -> Iterator[Callable[[str, int], Advance]]:
    with Progress(
        TextColumn("{task.description}"), BarColumn(), *columns, TimeElapsedColumn(), TimeRemainingColumn()
    ) as bars:

        def track(what: str, total: int) -> Advance:
            task = bars.add_task(what, total=total)
            return lambda count: bars.advance(task, count)

        yield track


class _Rate(ProgressColumn):
    """Pictures a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.0f} img/s")


class Training:
    """A bar over the pictures of a phase, and a line an epoch; what `fit` reports to."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(), _Rate(), TimeElapsedColumn(), TimeRemainingColumn()
        )
        self._task = None

    def __enter__(self) -> "Training":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, phase: int, examples: int, done: int) -> None:
        """Show a phase; what an interrupted one had done counts, but not for the rate."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(f"phase {phase + 1}", total=examples, completed=done)

    def advance(self, examples: int) -> None:
        """Move the bar."""
        self._bars.advance(self._task, examples)

    def epoch(self, record: dict[str, Any]) -> None:
        """Print what an epoch came to."""
        told = ", ".join(
            f"{name.replace('_', ' ')} {value:.4g}" for name, value in record.items() if name not in ("phase", "epoch")
        )
        self._bars.console.print(f"phase {record['phase'] + 1} epoch {record['epoch'] + 1}: {told}", highlight=False)

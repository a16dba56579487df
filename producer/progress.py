"""How a command shows that it is getting on."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class RateColumn(ProgressColumn):
    """Things a second."""

    def render(self, task: Task) -> Text:
        """Return the rate of the last seconds; of the whole at the end."""
        return Text(f"{task.finished_speed or task.speed or 0:,.0f}/s")


def listings_progress() -> Progress:
    """Return a bar with count, rate and time left, on the standard error; none where nobody watches, as under cron."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)

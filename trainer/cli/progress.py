"""Progress bars for long work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

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

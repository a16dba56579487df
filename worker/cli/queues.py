"""pause, resume, drain: stop and start taking pages, for all workers at once."""

import time
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from worker.contract import settings as configuration
from worker.contract.errors import ShelverError
from worker.contract.messages import Queue

if TYPE_CHECKING:
    from worker.control import Control
    from worker.load import Load

LOOK_SECONDS = 0.5
#: a worker looks once a second whether a queue is paused, and a page it was just about to take still comes to it
NOTICE_SECONDS = 3.0

Queues = Annotated[list[Queue] | None, typer.Argument(help="new or backfill; both when left out", show_default=False)]


class NotDrained(ShelverError):
    """Pages are still in flight at the time limit."""


def pause(queues: Queues = None) -> None:
    """Have every worker stop taking pages from queues, until `resume`. Pages in hand are finished.

    What is enqueued meanwhile waits in Redis. It counts for workers that are started later too. While `backfill` is
    paused, `new` goes on.
    """
    from worker.control import Control

    chosen = queues or list(Queue)
    with closing(Control(configuration.load())) as control:
        control.pause(chosen)
    typer.echo(f"{_names(chosen)} paused: shelver-worker resume {' '.join(chosen)} goes on")


def resume(queues: Queues = None) -> None:
    """Have every worker take pages from queues again, `new` ahead of `backfill` as ever. Undoes `pause` and `drain`."""
    from worker.control import Control

    chosen = queues or list(Queue)
    with closing(Control(configuration.load())) as control:
        control.resume(chosen)
    typer.echo(f"{_names(chosen)} resumed")


def drain(
    queues: Queues = None,
    timeout: Annotated[float, typer.Option(min=0, help="seconds to wait for pages in flight")] = 300,
) -> None:
    """Pause queues and wait until no worker has a page of theirs in hand, e.g. before a migration or an upgrade.

    Exits with 0 then, and with 1 when pages are still in flight at the time limit. The queues stay paused either way;
    `resume` goes on. Pages that nobody has taken yet are kept, not waited for.
    """
    from worker.control import Control

    chosen, settings = queues or list(Queue), configuration.load()
    with closing(Control(settings)) as control:
        control.pause(chosen)
        waiting = _wait(control, chosen, timeout, settings.visibility_timeout_seconds)
    typer.echo(
        f"{_names(chosen)} drained: nothing in flight, {waiting:,} page(s) waiting; "
        f"shelver-worker resume {' '.join(chosen)} goes on"
    )


def _wait(control: "Control", queues: list[Queue], timeout_seconds: float, visibility_seconds: int) -> int:
    """Return how many pages wait once none has been in flight for as long as a worker needs to notice the pause."""
    begun = quiet_since = time.monotonic()
    with Console(stderr=True).status("pausing") as line:
        while True:
            loads = [load for load in control.loads() if load.queue in queues]
            now, flying = time.monotonic(), sum(load.in_flight for load in loads)
            if flying:
                quiet_since = now
            elif now - quiet_since >= NOTICE_SECONDS:
                return sum(load.depth for load in loads)
            if now - begun > max(timeout_seconds, NOTICE_SECONDS + LOOK_SECONDS):
                raise NotDrained(
                    f"{_tell(loads)} after {timeout_seconds:g} s, and paused: drain again to wait on, or go on with "
                    f"shelver-worker resume {' '.join(queues)}; a page whose worker died comes back within "
                    f"{visibility_seconds} s of being taken, once a worker runs"
                )
            line.update(f"{_tell(loads)}, {now - begun:.0f} of {timeout_seconds:g} s")
            time.sleep(LOOK_SECONDS)


def _tell(loads: "list[Load]") -> str:
    return " and ".join(f"{load.queue} has {load.in_flight} page(s) in flight" for load in loads)


def _names(queues: list[Queue]) -> str:
    return f"{' and '.join(dict.fromkeys(queues))} {'is' if len(set(queues)) == 1 else 'are'}"


COMMANDS = (pause, resume, drain)

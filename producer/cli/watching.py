"""watch: follow the catalog."""

import signal
import threading
from typing import Annotated

import typer

from producer.watch import Watcher
from worker.contract import settings as configuration


def watch(
    from_now: Annotated[
        bool, typer.Option("--from-now", help="forget the stored position and begin with the next change")
    ] = False,
) -> None:
    """Enqueue every newly listed product, until stopped. Goes on where it was after a restart."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    Watcher(configuration.load(), stopped, from_now).run()


COMMANDS = (watch,)

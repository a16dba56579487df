"""How a long command is told to stop."""

import signal
import threading
from _thread import start_new_thread


def stopped_by_signals() -> threading.Event:
    """Return what Ctrl-C or SIGTERM sets; a second one ends the process at once."""
    stopped = threading.Event()

    def stop(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        # Not here: the main thread may have been interrupted while it holds the event's own lock.
        start_new_thread(stopped.set, ())

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        signal.signal(number, stop)
    return stopped

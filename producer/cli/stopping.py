"""How a long command is told to stop."""

import signal
import threading


def stopped_by_signals() -> threading.Event:
    """Return what Ctrl-C or SIGTERM sets; a second one ends the process at once."""
    stopped = threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        signal.signal(number, stop)
    return stopped

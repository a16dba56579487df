"""A limit on the whole of a call whose library limits only each wait within it, or nothing."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return what `call` returns or raise what it raises; raises TimeoutError after `seconds`.

    The call runs in a thread of its own. One that is late is left to itself, and never keeps the process from ending.
    """
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001  (handed to whoever waits)
            outcome.set_exception(error)

    Thread(target=run, name="deadline", daemon=True).start()
    return outcome.result(timeout=seconds)

"""Waiting for a server that is away, in place and for so long."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import stamina

from worker.contract import traces
from worker.contract.errors import ModelUnfit, Unavailable
from worker.metrics import observe

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5

P = ParamSpec("P")
T = TypeVar("T")


class Patience:
    """Calls again while a server is unavailable, with backoff and jitter; what it waits adds up over a page."""

    def __init__(self, limit_seconds: float, seconds: dict[str, float]):
        self._left_seconds = limit_seconds
        self._seconds = seconds

    def __call__(self, stage: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns; raises Unavailable when nothing is left to wait."""
        started, attempts = time.monotonic(), 0
        try:
            with self.timed(stage):
                for attempt in stamina.retry_context(
                    on=_waiting_helps,
                    attempts=None,
                    timeout=max(self._left_seconds, 0.001),  # 0 would mean no limit
                    wait_initial=FIRST_WAIT_SECONDS,
                    wait_max=LONGEST_WAIT_SECONDS,
                ):
                    with attempt, observe.tried(stage):
                        attempts += 1
                        if attempts > 1:
                            traces.note(attempts=attempts)
                        return function(*args, **kwargs)
        except Unavailable:
            attempts += 1
            raise
        finally:
            if attempts > 1:
                self._left_seconds -= time.monotonic() - started
        raise AssertionError("stamina raises the last error itself")

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count what happens inside towards a stage."""
        started = time.monotonic()
        try:
            with traces.span(stage):
                yield
        finally:
            self._seconds[stage] = self._seconds.get(stage, 0) + time.monotonic() - started


class Once(Patience):
    """Calls once: nobody waits for whoever fails."""

    def __init__(self, seconds: dict[str, float]):
        super().__init__(0, seconds)
        #: of the last call
        self.stage = ""

    def __call__(self, stage: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns, or raise what it raises."""
        self.stage = stage
        with self.timed(stage):
            return function(*args, **kwargs)


def _waiting_helps(error: Exception) -> bool:
    return isinstance(error, Unavailable) and not isinstance(error, ModelUnfit)

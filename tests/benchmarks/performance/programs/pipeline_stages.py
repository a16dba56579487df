"""Where a worker's CPU time goes: the pipeline as it is, in a process without Celery, a clock turned at each stage.

python -m tests.benchmarks.performance.programs.pipeline_stages

Its settings are in the environment; it answers {"first", "products"}.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from tests.benchmarks.performance.programs.program import answer
from worker import channel
from worker.app import pipeline, settings
from worker.contract.messages import Page, Queue
from worker.patience import Patience

#: of the stage `predict`: before the call, in it with all that gRPC does in threads of its own, and after it
REQUEST, CALL, ANSWER = "predict: request", "predict: call", "predict: answer"
BETWEEN = "between stages"


class Clock:
    """CPU time of this process with all its threads; each moment counts towards one stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage, self._at = BETWEEN, time.process_time()

    def turn(self, stage: str) -> str:
        """Count towards a stage from now on; return the one before."""
        now = time.process_time()
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._at
        before, self._stage, self._at = self._stage, stage, now
        return before


class Calls(grpc.UnaryUnaryClientInterceptor):
    """Turns the clock at every Predict call."""

    def __init__(self, clock: Clock):
        self._clock = clock

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        """Make the call."""
        if not client_call_details.method.endswith("/Predict"):
            return continuation(client_call_details, request)
        self._clock.turn(CALL)
        try:
            return continuation(client_call_details, request)
        finally:
            self._clock.turn(ANSWER)


def watch(clock: Clock) -> None:
    """Have the pipeline turn the clock, stage by stage; it is not told otherwise."""
    timed, opened = Patience.timed, channel.open_channel

    @contextmanager
    def turned(self: Patience, stage: str) -> Iterator[None]:
        before = clock.turn(REQUEST if stage == "predict" else stage)
        try:
            with timed(self, stage):
                yield
        finally:
            clock.turn(before)

    Patience.timed = turned  # type: ignore[method-assign]
    channel.open_channel = lambda *given: grpc.intercept_channel(opened(*given), Calls(clock))  # type: ignore[attr-defined]


def main() -> None:
    """Classify pages when asked to, and answer with CPU seconds by stage."""
    clock = Clock()
    watch(clock)

    def classify(first: int, products: int) -> dict[str, float]:
        size, end = settings().page_size, first + products
        clock.turn(BETWEEN)
        clock.seconds.clear()
        for start in range(first, end, size):
            pipeline().classify(Page(tuple(range(start, min(start + size, end))), Queue.BACKFILL))
        clock.turn(BETWEEN)
        return clock.seconds

    answer(classify)


if __name__ == "__main__":
    sys.exit(main())

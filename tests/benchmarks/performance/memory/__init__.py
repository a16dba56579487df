"""How much memory each process takes, that it does not grow with what has gone through, and what a queued id takes."""

from tests.benchmarks.performance.memory.measurement import measure
from tests.benchmarks.performance.memory.page import draw, section

__all__ = ["draw", "measure", "section"]

"""What a worker does in a second of CPU time while the model takes none, and where that time goes."""

from tests.benchmarks.performance.capacity.measurement import measure
from tests.benchmarks.performance.capacity.page import section

__all__ = ["measure", "section"]

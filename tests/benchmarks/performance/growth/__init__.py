"""Time for a product as there are more products, larger pages, more children and a deeper queue."""

from tests.benchmarks.performance.growth.measurement import measure
from tests.benchmarks.performance.growth.page import PANELS, draw, section

__all__ = ["PANELS", "draw", "measure", "section"]

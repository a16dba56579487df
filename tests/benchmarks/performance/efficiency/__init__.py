"""η: pictures a second whose rows are stored, end to end, over those of the same SavedModel called directly."""

from tests.benchmarks.performance.efficiency.measurement import measure
from tests.benchmarks.performance.efficiency.page import section

__all__ = ["measure", "section"]

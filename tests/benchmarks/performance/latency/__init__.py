"""From a listing's insertion into MongoDB to its row in SQL, one by one, while a backfill saturates the workers."""

from tests.benchmarks.performance.latency.measurement import measure
from tests.benchmarks.performance.latency.page import section

__all__ = ["measure", "section"]

"""How fast pages are written beside what is stored already, and beside SQLAlchemy's executemany."""

from tests.benchmarks.performance.store.measurement import measure
from tests.benchmarks.performance.store.page import draw, section

__all__ = ["draw", "measure", "section"]

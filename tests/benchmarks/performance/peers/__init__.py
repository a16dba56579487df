"""What a user would pick instead: the same documents, model server and rows, in products a second."""

from tests.benchmarks.performance.peers.measurement import measure
from tests.benchmarks.performance.peers.page import section

__all__ = ["measure", "section"]

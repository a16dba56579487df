"""Real networks on these cores, then paced models, each with both signatures."""

from tests.benchmarks.goals import Goal
from tests.benchmarks.performance.cpu import CORES
from tests.benchmarks.performance.efficiency import networks, paced
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.producer.line import Line

NAME = "efficiency"
TARGET = 0.95


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """Measure one case after the other; each has a goal of its own."""
    cases = {**networks.measure(servers, small), **paced.measure(servers, small)}
    goals = [Goal(f"performance.{NAME}.{name}", case["efficiency"], ">=", TARGET) for name, case in cases.items()]
    return goals, {"cores": CORES, "cases": cases}

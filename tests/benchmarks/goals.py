"""What benchmarks share: the line that a goal is told in, and the machine that a figure is of."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Goal:
    """A figure and what it should be."""

    name: str
    value: float
    #: >= or <=
    comparison: str
    target: float

    @property
    def holds(self) -> bool:
        """Whether it is."""
        return self.value >= self.target if self.comparison == ">=" else self.value <= self.target

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "short"
        return f"GOAL {self.name} {self.value:.3g} {self.comparison} {self.target:g} {verdict}"


def machine() -> dict[str, Any]:
    """Return what a figure depends on beside the code."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "processor": models[0] if models else platform.processor(),
        "python": platform.python_version(),
    }


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios of runs that took turns: a machine that drifts moves both of a pair."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def report(goals: Sequence[Goal], details: dict[str, Any], path: Path) -> None:
    """Print a line a goal, and write all of it as JSON."""
    for goal in goals:
        print(goal, flush=True)
    told = [{**asdict(goal), "holds": goal.holds} for goal in goals]
    path.write_text(json.dumps({"machine": machine(), "goals": told, **details}, indent=1) + "\n")
    print(f"written to {path}")

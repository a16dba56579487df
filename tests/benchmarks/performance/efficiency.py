"""η: pictures a second whose rows are stored, end to end, over those of the same SavedModel called directly."""

from statistics import median
from typing import Any

from tests.benchmarks.goals import Goal
from tests.benchmarks.performance import networks, paced
from tests.benchmarks.performance.busy import CORES
from tests.benchmarks.performance.limits import cpu_seconds, limit
from tests.benchmarks.producer.line import Line
from tests.faults.report import table

NAME = "efficiency"
TARGET = 0.95
Figures = dict[str, Any]


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """Run real networks on these cores, then paced models, each with both signatures."""
    cases = {**networks.measure(servers, small), **paced.measure(servers, small)}
    goals = [Goal(f"performance.{NAME}.{name}", case["efficiency"], ">=", TARGET) for name, case in cases.items()]
    return goals, {"cores": CORES, "cases": cases}


def section(figures: Figures) -> str:
    """Return what the page says of it."""
    cases, cores = figures["cases"], figures["cores"]
    head = ("", "children", "direct calls", "pictures a second", "line", "η", "by round")
    short = {name: case for name, case in cases.items() if case["efficiency"] < TARGET}
    limits = "\n".join(f"- {_told(name)}: {limit(case, cores)}" for name, case in short.items())
    return f"""## How near the line comes to the model alone

η = pictures a second whose rows are stored, end to end, over those of the same SavedModel called directly with the best
batch and number of calls in flight, as a short scan found them. The networks run on these cores, which they share with
the line, on products of one picture; a backlog is compared with the direct calls before and after it. A paced model
takes as long as a GPU and computes nothing; called directly it is at its pace.

{table(head, map(_rates, cases, cases.values()))}

CPU microseconds a picture, by whom, and the cores that this takes at the model's own rate:

{table(("", *cpu_seconds(next(iter(cases.values()))), "all", "cores"), map(_spent, cases, cases.values()))}

Those that are short of {TARGET}, and what the same runs say of it:

{limits or "- none"}"""


def _told(name: str) -> str:
    return name.replace("_", " ")


def _rates(name: str, case: Figures) -> tuple[object, ...]:
    return (
        _told(name),
        case["children"],
        f"{case['in_flight']} of {case['batch']}",
        f"{case['direct']:,.1f}",
        f"{median(run['pictures_per_second'] for run in case['runs']):,.1f}",
        f"{case['efficiency']:.3f}",
        ", ".join(f"{each:.3f}" for each in case["ratios"]),
    )


def _spent(name: str, case: Figures) -> tuple[str, ...]:
    spent = cpu_seconds(case)
    whole = sum(spent.values())
    micro = (f"{1e6 * seconds:,.0f}" for seconds in (*spent.values(), whole))
    return _told(name), *micro, f"{whole * case['direct']:.2f}"

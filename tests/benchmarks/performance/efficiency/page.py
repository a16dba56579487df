"""What docs/performance.md says of η, and by what a case is held that is short of it."""

from statistics import median

from tests.benchmarks.performance.efficiency.measurement import TARGET
from tests.benchmarks.performance.page import Figures
from tests.faults.report import table


def section(figures: Figures) -> str:
    """Return what the page says of it."""
    cases, cores = figures["cases"], figures["cores"]
    head = ("", "children", "direct calls", "pictures a second", "line", "η", "by round")
    short = {name: case for name, case in cases.items() if case["efficiency"] < TARGET}
    limits = "\n".join(f"- {_told(name)}: {_limit(case, cores)}" for name, case in short.items())
    return f"""## How near the line comes to the model alone

η = pictures a second whose rows are stored, end to end, over those of the same SavedModel called directly with the best
batch and number of calls in flight, as a short scan found them. The networks run on these cores, which they share with
the line, on products of one picture; a backlog is compared with the direct calls before and after it. A paced model
takes as long as a GPU and computes nothing; called directly it is at its pace.

{table(head, map(_rates, cases, cases.values()))}

CPU microseconds a picture, by whom, and the cores that this takes at the model's own rate:

{table(("", *_cpu_seconds(next(iter(cases.values()))), "all", "cores"), map(_spent, cases, cases.values()))}

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
    spent = _cpu_seconds(case)
    whole = sum(spent.values())
    micro = (f"{1e6 * seconds:,.0f}" for seconds in (*spent.values(), whole))
    return _told(name), *micro, f"{whole * case['direct']:.2f}"


def _cpu_seconds(case: Figures) -> dict[str, float]:
    """Return the CPU seconds of each part a picture."""
    runs = [run["cpu_seconds_a_picture"] for run in case["runs"]]
    return {part: median(run[part] for run in runs) for part in runs[0]}


def _limit(case: Figures, cores: int) -> str:
    """Say what the cores and the calls of a case allow."""
    busy = f"{median(run['cores_busy'] for run in case['runs']):.2f} of {cores} cores were busy."
    return f"{busy} {_of_a_network(case) if case['direct_cpu_seconds_a_picture'] else _of_a_pace(case, cores)}"


def _of_a_network(case: Figures) -> str:
    """Cores that a network would have to itself are shared with the line."""
    spent, own = _cpu_seconds(case), case["direct_cpu_seconds_a_picture"]
    beside = sum(spent.values()) - own
    return (
        f"A picture takes {1e3 * own:.2f} ms of CPU time when the model is called directly and {1e3 * beside:.2f} ms "
        f"more in the line, {1e3 * spent['worker']:.2f} of them in the worker: cores that are all busy allow "
        f"{own / (own + beside):.3f}."
    )


def _of_a_pace(case: Figures, cores: int) -> str:
    """A GPU has no part in the cores: they are full, or what it is asked for is too little at a time."""
    needed = case["direct"] * sum(_cpu_seconds(case).values())
    at_once = f"calls of {case['mean_batch']:.0f} pictures, as pages have them, allow {case['at_mean_batch']:.3f}"
    full = f"At {case['direct']:,.0f} pictures a second all of it would take {needed:.2f} cores"
    if needed > cores:
        return f"{full}; there are {cores}, which allows {cores / needed:.2f}; {at_once}."
    return f"{full}; {at_once}."

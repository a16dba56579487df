"""By what a case of `efficiency` is held, from the figures of its own runs."""

from statistics import median
from typing import Any

Figures = dict[str, Any]


def cpu_seconds(case: Figures) -> dict[str, float]:
    """Return the CPU seconds of each part a picture."""
    runs = [run["cpu_seconds_a_picture"] for run in case["runs"]]
    return {part: median(run[part] for run in runs) for part in runs[0]}


def limit(case: Figures, cores: int) -> str:
    """Say what the cores and the calls of a case allow."""
    busy = f"{median(run['cores_busy'] for run in case['runs']):.2f} of {cores} cores were busy."
    return f"{busy} {_of_a_network(case) if case['direct_cpu_seconds_a_picture'] else _of_a_pace(case, cores)}"


def _of_a_network(case: Figures) -> str:
    """Cores that a network would have to itself are shared with the line."""
    spent, own = cpu_seconds(case), case["direct_cpu_seconds_a_picture"]
    beside = sum(spent.values()) - own
    return (
        f"A picture takes {1e3 * own:.2f} ms of CPU time when the model is called directly and {1e3 * beside:.2f} ms "
        f"more in the line, {1e3 * spent['worker']:.2f} of them in the worker: cores that are all busy allow "
        f"{own / (own + beside):.3f}."
    )


def _of_a_pace(case: Figures, cores: int) -> str:
    """A GPU has no part in the cores: they are full, or what it is asked for is too little at a time."""
    needed = case["direct"] * sum(cpu_seconds(case).values())
    at_once = f"calls of {case['mean_batch']:.0f} pictures, as pages have them, allow {case['at_mean_batch']:.3f}"
    full = f"At {case['direct']:,.0f} pictures a second all of it would take {needed:.2f} cores"
    if needed > cores:
        return f"{full}; there are {cores}, which allows {cores / needed:.2f}; {at_once}."
    return f"{full}; {at_once}."

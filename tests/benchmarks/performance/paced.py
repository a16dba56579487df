"""A model that takes as long as a GPU and computes nothing: what is left to the line is all of the cores."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.benchmarks.performance import line
from tests.benchmarks.performance.busy import observed
from tests.benchmarks.producer.line import Line
from trainer.serve.pace import Pace
from worker.contract.settings import Settings

#: pictures a second, and the pace of a GPU that makes so many: 128 rows at 5 + 128 x 0.361 ms are 2,500
PACES = {2_500: Pace(5.0, 0.361), 5_000: Pace(5.0, 0.161)}
LARGEST_BATCH = 128
CHILDREN = (2, 3, 4)
Figures = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """How much is measured of a paced model: each backlog takes about so many seconds."""

    products: int = 18_000
    probe: int = 1_500
    rounds: int = 3
    seconds: float = 6.0


SMALL = Sizes(1_000, 500, 1, 1.0)


def measure(servers: Line, small: bool) -> Figures:
    """Measure each pace with both signatures; return a case by name."""
    sizes = SMALL if small else Sizes()
    served = line.catalog(servers, "paced", sizes.products, copy_answers=False)
    cases = {}
    for rate, pace in PACES.items():
        settings = line.serve(servers, served, "tiny", "--pace", f"{pace.request_ms},{pace.picture_ms}")
        for signature in line.SIGNATURES:
            print(f"  paced at {rate:,}, {signature}", flush=True)
            chosen = settings.model_copy(update={"signature": signature})
            cases[f"paced_{rate}_{signature}"] = _at_pace(servers, served, chosen, pace, sizes)
    servers.drop(served.settings)
    return cases


def _at_pace(servers: Line, served: line.Catalog, settings: Settings, pace: Pace, sizes: Sizes) -> Figures:
    """Find the best number of children, then run; called directly, with full batches, a model is at its pace."""
    direct = LARGEST_BATCH / pace.seconds(LARGEST_BATCH)
    probes = {children: _probe(servers, served, settings, children, sizes.probe) for children in CHILDREN}
    children = max(probes, key=lambda each: probes[each])
    ids = served.ids[: int(sizes.seconds * probes[children] * len(served.ids) / sum(served.pictures))]
    with line.worker(servers, served, settings, children) as working:
        runs = [observed(servers, settings, working, lambda: working.classify(ids)) for _ in range(sizes.rounds)]
    ratios = [run["pictures_per_second"] / direct for run in runs]
    batch = settings.page_size * runs[0]["pictures"] / runs[0]["products"]
    return {
        "batch": LARGEST_BATCH,
        "in_flight": 1,
        "efficiency": median(ratios),
        "ratios": ratios,
        "children": children,
        "probes": {str(number): rate for number, rate in probes.items()},
        "direct": direct,
        "direct_cpu_seconds_a_picture": 0.0,
        "mean_batch": batch,
        "at_mean_batch": batch / pace.seconds(round(batch)) / direct,
        "runs": runs,
    }


def _probe(servers: Line, served: line.Catalog, settings: Settings, children: int, products: int) -> float:
    """Return the pictures a second of a short backlog."""
    with line.worker(servers, served, settings, children) as working:
        run = working.classify(served.ids[:products])
    return run.pictures / run.seconds

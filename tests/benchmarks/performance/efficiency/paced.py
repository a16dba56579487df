"""A model that takes as long as a GPU and computes nothing: what is left to the line is all of the cores."""

from dataclasses import dataclass
from statistics import median

from tests.benchmarks.performance import line
from tests.benchmarks.performance.efficiency.observed import observed
from tests.benchmarks.performance.paces import GPUS
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.workers import worker
from tests.benchmarks.producer.line import Line
from trainer.serve.pace import Pace
from worker.app import DEFAULT_CHILDREN
from worker.contract.settings import Settings

#: pictures a second
RATES = (2_500, 5_000)
LARGEST_BATCH = 128


@dataclass(frozen=True)
class Sizes:
    """How much is measured of a paced model: each backlog takes it so many seconds."""

    products: int = 18_000
    rounds: int = 3
    seconds: float = 6.0


SMALL = Sizes(1_000, 1, 0.5)


def measure(servers: Line, small: bool) -> Figures:
    """Measure each pace with both signatures; return a case by name."""
    sizes = SMALL if small else Sizes()
    served = line.catalog(servers, "paced", sizes.products, copy_answers=False)
    cases = {}
    for rate in RATES:
        settings = line.serve(servers, served, pace=GPUS[rate])
        for chosen in line.by_signature(settings):
            print(f"  paced at {rate:,}, {chosen.signature}", flush=True)
            cases[f"paced_{rate}_{chosen.signature}"] = _at_pace(servers, served, chosen, GPUS[rate], sizes)
    servers.drop(served.settings)
    return cases


def _at_pace(servers: Line, served: line.Catalog, settings: Settings, pace: Pace, sizes: Sizes) -> Figures:
    """Empty backlogs; called directly, with full batches, a model is at its pace."""
    direct = LARGEST_BATCH / pace.seconds(LARGEST_BATCH)
    ids = served.ids[: int(sizes.seconds * direct * len(served.ids) / sum(served.pictures))]
    with worker(servers, served, settings, DEFAULT_CHILDREN) as working:
        runs = [observed(servers, working, ids) for _ in range(sizes.rounds)]
    ratios = [run["pictures_per_second"] / direct for run in runs]
    batch = settings.page_size * runs[0]["pictures"] / runs[0]["products"]
    return {
        "batch": LARGEST_BATCH,
        "in_flight": 1,
        "efficiency": median(ratios),
        "ratios": ratios,
        "children": DEFAULT_CHILDREN,
        "direct": direct,
        "direct_cpu_seconds_a_picture": 0.0,
        "mean_batch": batch,
        "at_mean_batch": batch / pace.seconds(round(batch)) / direct,
        "runs": runs,
    }

"""Real networks on these cores: the line and direct calls of the same SavedModel, by turns."""

import os
from dataclasses import dataclass
from statistics import mean, median
from unittest.mock import patch

from deploy.local.stack import ROOMY_MALLOC
from tests.benchmarks.performance import line
from tests.benchmarks.performance.efficiency.observed import observed
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.programs.program import Program, open_program
from tests.benchmarks.performance.workers import worker
from tests.benchmarks.producer.line import Line
from worker.app import DEFAULT_CHILDREN
from worker.contract.settings import Settings

BATCHES, IN_FLIGHT = (8, 32, 64, 128), (1, 2)
#: of pictures that the model is called with directly: more than fit a cache of the processor
DIRECT_PICTURES = 256


@dataclass(frozen=True)
class Sizes:
    """How much is measured of a real network, on the CPU."""

    products: int
    rounds: int
    scan_seconds: float
    slice_seconds: float


#: trainer.backbones by their names in goals
BACKBONES = {
    "lite0": ("efficientnet_lite0", Sizes(2_000, 2, 2.0, 8.0)),
    "resnet50": ("resnet50", Sizes(2_000, 1, 3.0, 12.0)),
}
SMALL = Sizes(128, 1, 0.1, 1.0)


def measure(servers: Line, small: bool) -> Figures:
    """Measure each network with both signatures; return a case by name."""
    cases: Figures = {}
    for name, (backbone, sizes) in BACKBONES.items():
        cases |= _measure(servers, name, backbone, SMALL if small else sizes)
    return cases


def _measure(servers: Line, name: str, backbone: str, sizes: Sizes) -> Figures:
    served = line.catalog(servers, name, sizes.products, pictures_each=1, copy_answers=False)
    roomy = {**os.environ, **ROOMY_MALLOC}  # for both, as the local line has it
    with patch.dict(os.environ, roomy):
        settings = line.serve(servers, served, backbone)
    model = line.model_folder(servers, served, backbone) / "models" / settings.model_name / "1"
    pictures = line.write_pictures(served, DIRECT_PICTURES, servers.folder / f"pictures-{name}")
    cases = {}
    with open_program("direct_calls", model, pictures, environment=roomy) as direct:
        for chosen in line.by_signature(settings):
            print(f"  {name}, {chosen.signature}", flush=True)
            cases[f"{name}_{chosen.signature}"] = _by_turns(servers, served, chosen, direct, sizes)
    servers.drop(served.settings)
    return cases


def _by_turns(servers: Line, served: line.Catalog, settings: Settings, direct: Program, sizes: Sizes) -> Figures:
    """Make a slice of direct calls before and after each backlog, which is compared with the mean of the two."""
    scan = _scan(direct, settings.signature, min(sizes.products, DIRECT_PICTURES), sizes.scan_seconds)
    best = max(scan, key=lambda each: each["pictures_per_second"])
    calls = {name: best[name] for name in ("signature", "batch", "in_flight")}
    with worker(servers, served, settings, DEFAULT_CHILDREN) as working:
        slices, runs = [direct.ask(**calls, seconds=sizes.slice_seconds)], []
        for _ in range(sizes.rounds):
            runs.append(observed(servers, working, served.ids))
            slices.append(direct.ask(**calls, seconds=sizes.slice_seconds))
    rates = [each["pictures_per_second"] for each in slices]
    ratios = [run["pictures_per_second"] / mean(rates[turn : turn + 2]) for turn, run in enumerate(runs)]
    return {
        **calls,
        "efficiency": median(ratios),
        "ratios": ratios,
        "children": DEFAULT_CHILDREN,
        "direct": median(rates),
        "direct_cpu_seconds_a_picture": median(each["cpu_seconds_a_picture"] for each in slices),
        "scan": scan,
        "slices": slices,
        "runs": runs,
    }


def _scan(direct: Program, signature: str, pictures: int, seconds: float) -> list[Figures]:
    """Call with every batch, up to so many pictures, and number of calls in flight."""
    calls = [
        {"signature": signature, "batch": batch, "in_flight": in_flight}
        for batch in BATCHES
        if batch <= pictures
        for in_flight in IN_FLIGHT
    ]
    return [{**each, **direct.ask(**each, seconds=seconds)} for each in calls]

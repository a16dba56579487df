"""Real networks on these cores: the line and direct calls of the same SavedModel, by turns."""

import os
from dataclasses import dataclass
from statistics import mean, median
from typing import Any
from unittest.mock import patch

from deploy.local.stack import ROOMY_MALLOC
from tests.benchmarks.performance import line
from tests.benchmarks.performance.asked import Asked, asked
from tests.benchmarks.performance.busy import observed
from tests.benchmarks.producer.line import Line
from worker.contract.settings import Settings

BATCHES, IN_FLIGHT = (8, 32, 64, 128), (1, 2)
#: of pictures that the model is called with directly: more than fit a cache of the processor
DIRECT_PICTURES = 256
#: one a core
CHILDREN = 2
Figures = dict[str, Any]


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
    model = servers.folder / f"model-{name}-{backbone}" / "models" / settings.model_name / "1"
    pictures = line.written(line.jpegs(served, served.ids[:DIRECT_PICTURES]), servers.folder / f"pictures-{name}")
    cases = {}
    with asked("tests.benchmarks.performance.direct", model, pictures, environment=roomy) as direct:
        for signature in line.SIGNATURES:
            print(f"  {name}, {signature}", flush=True)
            chosen = settings.model_copy(update={"signature": signature})
            cases[f"{name}_{signature}"] = _by_turns(servers, served, chosen, direct, sizes)
    servers.drop(served.settings)
    return cases


def _by_turns(servers: Line, served: line.Catalog, settings: Settings, direct: Asked, sizes: Sizes) -> Figures:
    """Make a slice of direct calls before and after each backlog, which is compared with the mean of the two."""
    scan = _scan(direct, settings.signature, min(sizes.products, DIRECT_PICTURES), sizes.scan_seconds)
    best = max(scan, key=lambda each: each["pictures_per_second"])
    calls = {name: best[name] for name in ("signature", "batch", "in_flight")}
    with line.worker(servers, served, settings, CHILDREN) as working:
        slices, runs = [direct.ask(**calls, seconds=sizes.slice_seconds)], []
        for _ in range(sizes.rounds):
            runs.append(observed(servers, settings, working, lambda: working.classify(served.ids)))
            slices.append(direct.ask(**calls, seconds=sizes.slice_seconds))
    rates = [each["pictures_per_second"] for each in slices]
    ratios = [run["pictures_per_second"] / mean(rates[turn : turn + 2]) for turn, run in enumerate(runs)]
    return {
        **calls,
        "efficiency": median(ratios),
        "ratios": ratios,
        "children": CHILDREN,
        "direct": median(rates),
        "direct_cpu_seconds_a_picture": median(each["cpu_seconds_a_picture"] for each in slices),
        "scan": scan,
        "slices": slices,
        "runs": runs,
    }


def _scan(direct: Asked, signature: str, pictures: int, seconds: float) -> list[Figures]:
    """Call with every batch, up to so many pictures, and number of calls in flight."""
    calls = [
        {"signature": signature, "batch": batch, "in_flight": in_flight}
        for batch in BATCHES
        if batch <= pictures
        for in_flight in IN_FLIGHT
    ]
    return [{**each, **direct.ask(**each, seconds=seconds)} for each in calls]

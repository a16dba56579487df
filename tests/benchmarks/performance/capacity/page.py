"""What docs/performance.md says of a second of a worker's CPU time."""

from collections.abc import Iterator

from tests.benchmarks.performance.capacity.measurement import REST
from tests.benchmarks.performance.line import SIGNATURES
from tests.benchmarks.performance.page import Figures
from tests.faults.report import table

#: of a stage, what is done in it
TOLD = {
    "catalog": "one query to MongoDB, and its answer as products",
    "model": "which version is served, once a second",
    "known": "what the store has of these products already",
    "stack": "pictures checked, and decoded for `pixels`",
    "predict: request": "the request put together",
    "predict: call": "gRPC with its threads: sending, waiting, receiving",
    "predict: answer": "predictions from the answer",
    "save": "rows into PostgreSQL, one transaction",
    "between stages": "fingerprints, groups, and what else is between",
    REST: "Celery, Redis, the log, and the worker's main process",
}


def section(figures: Figures) -> str:
    """Return what the page says of it."""
    rates, stages = figures["pictures_per_cpu_second"], figures["stages"]
    head = ("", "pictures a CPU second", "over Pillow", "by round")
    rows = [
        (name, f"{rate:,.0f}", f"{rate / rates['pillow']:.2f}", _listed(figures["runs"][name]))
        for name, rate in rates.items()
    ]
    a_product = figures["pictures"] / figures["products"]
    return f"""## What a worker does in a second of CPU time

The model answers at once (`--pace 0,0`). The CPU time is that of the worker's one child and its main process. Pillow is
`np.asarray(Image.open(…))` of the same pictures in a loop, on one core, by turns with the workers. All are new
processes in each round: where memory happens to lie makes the same decoding slower or faster for as long as one lives.

{table(head, rows)}

Where it goes, in CPU microseconds a product of {a_product:.2f} pictures; the pipeline ran in a process of its own for
that, without Celery.

{table(("stage", "what", *SIGNATURES), _table(stages))}

{_limits(1e6 * a_product / rates["pillow"], stages)}"""


def _limits(pillow: float, stages: dict[str, dict[str, float]]) -> str:
    """Say what the goals allow, in microseconds a product."""
    pixels, jpeg = (sum(stages[signature].values()) for signature in SIGNATURES)
    needed = stages["pixels"]["stack"] + stages["pixels"]["predict: call"]
    return f"""Pillow alone takes {pillow:.0f} µs for a product's pictures. Decoding and sending them take {needed:.0f}
here, so that `pixels` without all else would be at {pillow / needed:.2f} of it; 0.75 allow {pillow / 0.75:.0f}. Four
times `pixels` allow `jpeg` {pixels / 4:.0f}, of which it takes {jpeg:.0f}: the faster one is, the harder the other."""


def _listed(runs: list[Figures]) -> str:
    return ", ".join(f"{run['pictures_per_cpu_second']:,.0f}" for run in runs)


def _table(stages: dict[str, dict[str, float]]) -> Iterator[tuple[str, ...]]:
    for stage in dict.fromkeys(stage for spent in stages.values() for stage in (*TOLD, *spent)):
        yield stage, TOLD.get(stage, ""), *(f"{spent.get(stage, 0):,.0f}" for spent in stages.values())
    yield "all of it", "the worker", *(f"{sum(spent.values()):,.0f}" for spent in stages.values())

"""What a worker does in a second of CPU time while the model takes none, and where that time goes."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from statistics import mean, median
from typing import Any

from tests.benchmarks.goals import Goal, ratio
from tests.benchmarks.performance import line
from tests.benchmarks.performance.apart import worker_apart
from tests.benchmarks.performance.asked import Asked, asked
from tests.benchmarks.producer.line import Line
from tests.faults.report import table
from worker.contract.settings import Settings

NAME = "capacity"
PRODUCTS, ROUNDS = 3_000, 3
WARMING_PRODUCTS = 256
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
}
#: what a worker takes more than its pipeline in a process of its own
REST, REST_TOLD = "around it", "Celery, Redis, the log, and the worker's main process"
Figures = dict[str, Any]


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """Have workers of one child, bare Pillow and the pipeline by stages take turns."""
    products, rounds = (300, 1) if small else (PRODUCTS, ROUNDS)
    served = line.catalog(servers, NAME, products, copy_answers=False)
    settings = line.serve(servers, served, "tiny", "--pace", "0,0")
    pictures = line.written(line.jpegs(served, served.ids), servers.folder / f"pictures-{NAME}")
    with ExitStack() as stack:
        turns: dict[str, Callable[[], Figures]] = {
            "pillow": stack.enter_context(asked("tests.benchmarks.performance.decoding", pictures)).ask
        }
        for number, signature in enumerate(line.SIGNATURES, start=1):
            chosen = settings.model_copy(update={"signature": signature})
            working = stack.enter_context(worker_apart(servers, served, chosen, number))
            environment = {**os.environ, **chosen.environment()}
            staged = stack.enter_context(asked("tests.benchmarks.performance.stages", environment=environment))
            turns[signature] = _classifying(working, served.ids)
            turns[f"{signature} by stages"] = _staging(staged, chosen, products)
        runs = _by_turns(turns, rounds)
    servers.drop(served.settings)
    rates = {name: [run["pictures_per_cpu_second"] for run in runs[name]] for name in ("pillow", *line.SIGNATURES)}
    goals = [
        Goal(f"performance.{NAME}.pixels_over_pillow", ratio(rates["pixels"], rates["pillow"]), ">=", 0.75),
        Goal(f"performance.{NAME}.jpeg_per_cpu_second", median(rates["jpeg"]), ">=", 5_000),
        Goal(f"performance.{NAME}.jpeg_over_pixels", ratio(rates["jpeg"], rates["pixels"]), ">=", 4),
    ]
    return goals, {
        "products": products,
        "pictures": sum(served.pictures),
        "rounds": rounds,
        "runs": runs,
        "pictures_per_cpu_second": {name: median(each) for name, each in rates.items()},
        "stages": {signature: _stages(runs, signature, products) for signature in line.SIGNATURES},
    }


def _by_turns(turns: dict[str, Callable[[], Figures]], rounds: int) -> dict[str, list[Figures]]:
    """Take each in order, then in reverse, and so on."""
    runs: dict[str, list[Figures]] = {name: [] for name in turns}
    for turn in range(rounds):
        for name in list(turns)[:: -1 if turn % 2 else 1]:
            runs[name].append(turns[name]())
    return runs


def _classifying(working: line.Worker, ids: range) -> Callable[[], Figures]:
    def run() -> Figures:
        done = working.classify(ids)
        return {**asdict(done), "pictures_per_cpu_second": done.pictures / done.cpu_seconds}

    return run


def _staging(staged: Asked, settings: Settings, products: int) -> Callable[[], Figures]:
    line.clear(settings)
    staged.ask(first=0, products=min(products, WARMING_PRODUCTS))

    def run() -> Figures:
        line.clear(settings)
        return staged.ask(first=0, products=products)

    return run


def _stages(runs: dict[str, list[Figures]], signature: str, products: int) -> dict[str, float]:
    """Return CPU microseconds a product by stage, on the average of all rounds: they add up to the worker's."""
    by_stage = runs[f"{signature} by stages"]
    spent = {stage: 1e6 * mean(run[stage] for run in by_stage) / products for stage in by_stage[0]}
    whole = 1e6 * mean(run["cpu_seconds"] for run in runs[signature]) / products
    return {**spent, REST: whole - sum(spent.values())}


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
`np.asarray(Image.open(…))` of the same pictures in a loop, on one core, by turns with the workers.

{table(head, rows)}

Where it goes, in CPU microseconds a product of {a_product:.2f} pictures; the pipeline ran in a process of its own for
that, without Celery.

{table(("stage", "what", *line.SIGNATURES), _table(stages))}"""


def _listed(runs: list[Figures]) -> str:
    return ", ".join(f"{run['pictures_per_cpu_second']:,.0f}" for run in runs)


def _table(stages: dict[str, dict[str, float]]) -> Iterator[tuple[str, ...]]:
    told = {**TOLD, REST: REST_TOLD}
    for stage in dict.fromkeys(stage for spent in stages.values() for stage in (*TOLD, *spent)):
        yield stage, told.get(stage, ""), *(f"{spent.get(stage, 0):,.0f}" for spent in stages.values())
    yield "all of it", "the worker", *(f"{sum(spent.values()):,.0f}" for spent in stages.values())

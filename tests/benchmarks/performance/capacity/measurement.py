"""Workers of one child, bare Pillow, and the pipeline by stages, in turns, in new processes each time.

Where memory happens to lie in a process makes the same decoding take up to 1.7 times as long, for all of its life.
"""

import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import mean, median

from tests.benchmarks.goals import Goal, ratio
from tests.benchmarks.performance import line
from tests.benchmarks.performance.paces import FREE
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.programs.program import open_program
from tests.benchmarks.performance.workers import worker
from tests.benchmarks.producer.line import Line
from worker.contract.settings import Settings

NAME = "capacity"
PRODUCTS, ROUNDS = 3_000, 6
WARMING_PRODUCTS = 256
#: what a worker takes more than its pipeline in a process of its own
REST = "around it"


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """Have each go through the same products."""
    products, rounds = (300, 1) if small else (PRODUCTS, ROUNDS)
    served = line.catalog(servers, NAME, products, copy_answers=False)
    settings = line.serve(servers, served, pace=FREE)
    pictures = line.write_pictures(served, products, servers.folder / f"pictures-{NAME}")
    turns: dict[str, Callable[[], Figures]] = {"pillow": lambda: _decoding(pictures)}
    for chosen in line.by_signature(settings):
        turns[chosen.signature] = partial(_classifying, servers, served, chosen)
        turns[f"{chosen.signature} by stages"] = partial(_staging, chosen, products)
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


def _decoding(pictures: Path) -> Figures:
    with open_program("pillow_decoding", pictures) as decoding:
        return decoding.ask()


def _classifying(servers: Line, served: line.Catalog, settings: Settings) -> Figures:
    with worker(servers, served, settings) as working:
        done = working.classify(served.ids)
    return {**asdict(done), "pictures_per_cpu_second": done.pictures / done.cpu_seconds}


def _staging(settings: Settings, products: int) -> Figures:
    line.clear(settings)
    with open_program("pipeline_stages", environment={**os.environ, **settings.environment()}) as staged:
        staged.ask(first=0, products=min(products, WARMING_PRODUCTS))
        line.clear(settings)
        return staged.ask(first=0, products=products)


def _stages(runs: dict[str, list[Figures]], signature: str, products: int) -> dict[str, float]:
    """Return CPU microseconds a product by stage, on the average of all rounds: they add up to the worker's."""
    by_stage = runs[f"{signature} by stages"]
    spent = {stage: 1e6 * mean(run[stage] for run in by_stage) / products for stage in by_stage[0]}
    whole = 1e6 * mean(run["cpu_seconds"] for run in runs[signature]) / products
    return {**spent, REST: whole - sum(spent.values())}

"""Workers of one child, bare Pillow, and the pipeline by stages, in turns."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from statistics import mean, median

from tests.benchmarks.goals import Goal, ratio
from tests.benchmarks.performance import line
from tests.benchmarks.performance.paces import FREE
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.programs.program import Program, open_program
from tests.benchmarks.performance.workers import Worker, worker_apart
from tests.benchmarks.producer.line import Line
from worker.contract.settings import Settings

NAME = "capacity"
PRODUCTS, ROUNDS = 3_000, 3
WARMING_PRODUCTS = 256
#: what a worker takes more than its pipeline in a process of its own
REST = "around it"


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """Have each go through the same products."""
    products, rounds = (300, 1) if small else (PRODUCTS, ROUNDS)
    served = line.catalog(servers, NAME, products, copy_answers=False)
    settings = line.serve(servers, served, pace=FREE)
    pictures = line.write_pictures(served, products, servers.folder / f"pictures-{NAME}")
    with ExitStack() as stack:
        turns: dict[str, Callable[[], Figures]] = {
            "pillow": stack.enter_context(open_program("pillow_decoding", pictures)).ask
        }
        for number, chosen in enumerate(line.by_signature(settings), start=1):
            working = stack.enter_context(worker_apart(servers, served, chosen, number))
            environment = {**os.environ, **chosen.environment()}
            staged = stack.enter_context(open_program("pipeline_stages", environment=environment))
            turns[chosen.signature] = _classifying(working, served.ids)
            turns[f"{chosen.signature} by stages"] = _staging(staged, chosen, products)
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


def _classifying(working: Worker, ids: range) -> Callable[[], Figures]:
    def run() -> Figures:
        done = working.classify(ids)
        return {**asdict(done), "pictures_per_cpu_second": done.pictures / done.cpu_seconds}

    return run


def _staging(staged: Program, settings: Settings, products: int) -> Callable[[], Figures]:
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

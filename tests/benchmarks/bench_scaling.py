"""make bench-scaling: how many workers and GPUs a day takes, by a simulation that is checked on a real line."""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tests.benchmarks.goals import Goal, report
from tests.benchmarks.producer.line import Line as Servers
from tests.benchmarks.producer.line import open_line
from tests.benchmarks.scaling import page, real
from tests.benchmarks.scaling.arrivals import Arrival, day
from tests.benchmarks.scaling.simulation import Course, Fleet, simulate
from tests.benchmarks.scaling.times import Line, Times

ROOT = Path(__file__).parents[2]
BACKBONE = "efficientnet_lite0"
ROUNDS, CHECK_SECONDS = 8, 120
#: of the child's time, without the bulk
CHECK_LOAD = 0.6
BULK_PAGES = 8
#: listings for the bulks
SPARE = 3000
SEED = 1


def main() -> None:
    """Measure, check, simulate days, and put the figures into docs/scaling.md; or simulate one day as told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="only try it; what is written goes to .local")
    parser.add_argument("--products", type=int, help="simulate this many a day, by what docs/scaling-bench.json has")
    for name, field in Fleet.__dataclass_fields__.items():
        if field.type in (int, float):
            parser.add_argument(f"--{name.replace('_', '-')}", type=field.type, default=field.default)
    default = Fleet().gpu
    parser.add_argument("--alpha", type=float, default=default.fixed, help="seconds of a batch on a GPU, however small")
    parser.add_argument("--beta", type=float, default=default.each, help="and of each picture in it")
    given = vars(parser.parse_args())
    small, products, gpu = given.pop("small"), given.pop("products"), Line(given.pop("alpha"), given.pop("beta"))
    if products:
        times = Times.from_figures(json.loads((ROOT / "docs" / "scaling-bench.json").read_text())["times"])
        fleet = Fleet(gpu=gpu, **given)
        print(json.dumps(simulate(day(products, SEED), times, fleet).figures(fleet), indent=1))
        return
    folder = ROOT / (".local" if small else "docs")
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="shelver-bench-") as name, open_line(Path(name)) as servers:
        goals, figures = _measure(servers, 2 if small else ROUNDS, 20 if small else CHECK_SECONDS)
    times = Times.from_figures(figures["times"])
    figures["days"] = [page.row(case, times, SEED) for case in page.CASES[: 2 if small else None]]
    report(goals, figures, folder / "scaling-bench.json")
    if not small:
        page.write(figures, folder / "scaling.md")


def _measure(servers: Servers, rounds: int, seconds: float) -> tuple[list[Goal], dict[str, Any]]:
    print("stages of pages, with a model that takes no time and with a real network", flush=True)
    tiny = real.measure(servers, "tiny", rounds, spare=10)
    lite0 = real.measure(servers, BACKBONE, rounds, spare=SPARE + int(100 * seconds))
    times, settings = real.times(tiny, lite0), lite0.settings
    checks, goals = {}, []
    for children in (1, 2):
        print(f"a load on {children} children", flush=True)
        planned = _plan(times, seconds, children)
        arrivals, done = real.load(servers, settings, lite0.catalog, planned, children)
        checks[str(children)] = _compare(arrivals, done, times, children)
    stored = real.bytes_of_a_product(settings)
    for name in ("p50", "p95"):
        ratio = checks["1"]["simulated_over_real"][name]
        goals.append(Goal(f"scaling.simulated_over_real_{name}.least", ratio, ">=", 0.75))
        goals.append(Goal(f"scaling.simulated_over_real_{name}.most", ratio, "<=", 1.33))
    return goals, {"backbone": BACKBONE, "times": times.as_figures(), "checks": checks, "stored_bytes": stored}


def _plan(times: Times, seconds: float, children: int) -> list[tuple[float, int]]:
    """Return when pages come and how large they are, at random; in the middle a bulk comes at once."""
    random, plan, now = np.random.default_rng(SEED), [], 0.0
    while now < seconds:
        size = int(random.choice(real.SIZES))
        plan.append((now, size))
        pictures = 1.7 * size
        own = times.before.at(size) + times.pictures.at(pictures) + times.after.at(size)
        now += random.exponential((own + times.model.at(pictures)) / CHECK_LOAD)
    bulk = [(seconds / 2, real.SIZES[-1])] * (BULK_PAGES * children)
    return sorted(plan + bulk)


def _compare(arrivals: list[Arrival], done: list[real.Done], times: Times, children: int) -> dict[str, Any]:
    """Return lags of the real pages and of the simulated ones, whose arrivals are the same."""
    fleet = Fleet(
        gpus=1, gpu=times.model, batch_sizes=(), children=children, least_workers=1, most_workers=1, start_seconds=0
    )
    happened = Course(stored=[(page.at, page.lag, page.products) for page in done])
    simulated = simulate(arrivals, times, fleet)
    lags = {
        name: dict(zip(("p50", "p95", "worst"), course.lag(50, 95, 100), strict=True))
        for name, course in (("real", happened), ("simulated", simulated))
    }
    ratios = {name: lags["simulated"][name] / lags["real"][name] for name in lags["real"]}
    return {"pages": len(done), "products": sum(page.products for page in done), **lags, "simulated_over_real": ratios}


if __name__ == "__main__":
    main()

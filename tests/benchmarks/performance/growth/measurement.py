"""Backlogs that are emptied while one thing after another grows, the model being free."""

from collections.abc import Iterable
from contextlib import ExitStack, closing
from datetime import datetime
from itertools import combinations, islice, pairwise
from statistics import median
from typing import Any

from tests.benchmarks.goals import Goal, ratio
from tests.benchmarks.performance.growth.deep_queue import DeepQueue
from tests.benchmarks.performance.growth.listings import slim
from tests.benchmarks.performance.growth.sizes import AXES, Axis, Microseconds, in_turns
from tests.benchmarks.performance.line import catalog, insert, serve
from tests.benchmarks.performance.paces import FREE
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.workers import Worker, worker_apart
from tests.benchmarks.producer.line import Line
from worker.contract.settings import Settings

NAME = "growth"
CHILDREN = 2
#: the largest over the smallest
FLAT = 1.1
#: none is replaced amid a run of one size and not of another
PAGES_PER_CHILD = 1_000_000
#: parts of the largest backlog, within which time for a product may grow as well
TENTHS = 10


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """Empty backlogs of every size of each axis; what grows is the line's own."""
    axes = {name: axis.small() if small else axis for name, axis in AXES.items()}
    fixed = {"signature": "jpeg", "copy_answers": False, "pages_per_child": PAGES_PER_CHILD}
    served = catalog(servers, NAME, 0, **fixed)
    most = max(*axes["products"].sizes, *(axis.products for axis in axes.values()))
    served.pictures.extend(insert(served.settings, islice(slim(), most)))
    settings = serve(servers, served, pace=FREE)
    with ExitStack() as started:
        workers = {
            children: started.enter_context(worker_apart(servers, served, settings, children, children))
            for children in axes["children"].sizes
        }
        found, last = _measure(workers, settings, axes)
    figures = {name: _figures(runs) for name, runs in found.items()}
    goals = [
        Goal(f"performance.{NAME}.{name}", each["largest_over_smallest"], "<=", FLAT) for name, each in figures.items()
    ]
    sizes = {name: {"unit": axis.unit, "products": axis.products} for name, axis in axes.items()}
    return goals, {"axes": {name: {**sizes[name], **figures[name]} for name in axes}, "tenths": last}


def _measure(
    workers: dict[int, Worker], settings: Settings, axes: dict[str, Axis]
) -> tuple[dict[str, Microseconds], list[float]]:
    """Return runs of every axis, and the tenths of the largest backlog."""
    two, ids = workers[CHILDREN], range(max(axes["products"].sizes))
    parts: list[list[float]] = []

    def emptied(products: int) -> float:
        read = two.log.stat().st_size
        seconds = two.classify(ids[:products]).seconds
        if products == len(ids):
            parts.append(_tenths(two.pages(read)))
        return seconds

    found = {"products": in_turns(axes["products"], emptied)}
    pages, children, depth = (axes[name] for name in ("pages", "children", "depth"))
    found["pages"] = in_turns(pages, lambda size: two.classify(ids[: pages.products], size).seconds)
    found["children"] = in_turns(children, lambda number: workers[number].classify(ids[: children.products]).seconds)
    with closing(DeepQueue(two.settings, max(depth.sizes))) as queue:
        found["depth"] = in_turns(depth, lambda others: queue.seconds(two, ids[: depth.products], others))
    return found, [median(each) for each in zip(*parts, strict=True)]


def _figures(runs: Microseconds) -> Figures:
    """Return runs and medians, the largest over the smallest, the worst rise, and how far runs of one size differ."""
    medians = {size: median(each) for size, each in runs.items()}
    smallest, *_, largest = runs.values()
    pairs = min(len(smallest), len(largest))
    return {
        "runs": runs,
        "microseconds": medians,
        "largest_over_smallest": ratio(largest[:pairs], smallest[:pairs]),
        "worst_rise": max(later / earlier for earlier, later in combinations(medians.values(), 2)),
        "spread": max((max(each) - min(each)) / median(each) for each in runs.values()),
    }


def _tenths(pages: Iterable[dict[str, Any]]) -> list[float]:
    """Return the microseconds of a product in each tenth of a run, by when its pages are logged to be done."""
    done = sorted((datetime.fromisoformat(page["timestamp"]).timestamp(), page["products"]) for page in pages)
    ends = [round(part * (len(done) - 1) / TENTHS) for part in range(TENTHS + 1)]
    return [
        1e6 * (done[end][0] - done[start][0]) / sum(products for _, products in done[start + 1 : end + 1])
        for start, end in pairwise(ends)
    ]

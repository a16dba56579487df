"""Single products that are listed while pages of a backfill wait at any time, and the time of each by its legs."""

import time
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from statistics import fmean

import numpy as np

from tests.benchmarks import dumps
from tests.benchmarks.goals import Goal
from tests.benchmarks.performance.cpu import CpuClock, server_processes
from tests.benchmarks.performance.latency.backlog import Backlog
from tests.benchmarks.performance.latency.probe import Listed, Probe
from tests.benchmarks.performance.line import catalog, serve
from tests.benchmarks.performance.paces import GPUS
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.workers import worker
from tests.benchmarks.producer.line import Line
from worker.app import DEFAULT_CHILDREN
from worker.contract.messages import Queue

NAME = "latency"
PACE = GPUS[2_500]
LISTINGS_A_SECOND = 20
SECONDS, SMALL_SECONDS = 60, 8
#: products that the backfill goes round and round
BACKFILLED = 12_800
#: until it is in full swing
SWING_SECONDS = 3
#: pages that wait at any time
LEAST_DEPTH = 20
QUANTILES = (50, 95, 99)
#: points of a curve
CURVE = 51
#: seconds of the whole
TARGETS = {"p50": 0.25, "p95": 0.5}
WHOLE, PREDICTED = "insert to seen", "insert to predicted_at"
#: what the whole is made of, one after another
LEGS = {
    "insert to queue": "`watch` hears of it and waits for its page to fill, for SHELVER_PAGE_LINGER_SECONDS",
    "queue to hand": "a child becomes free and is given the page",
    "hand to write": "catalog, what is known, pictures, the model",
    "write to seen": "its rows are written and committed, and another connection sees them",
}


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """List products at random times, and look for the row of each."""
    seconds, drawn = SMALL_SECONDS if small else SECONDS, islice(dumps.listings(), BACKFILLED, None)
    served = catalog(servers, NAME, BACKFILLED, copy_answers=False)
    settings, backlog = serve(servers, served, pace=PACE), Backlog(served.settings, served.ids)
    with worker(servers, served, settings, DEFAULT_CHILDREN) as running:
        watcher = servers.start(settings, "shelver-producer", "watch")
        watcher.wait_for(f"watching {settings.mongo_database}")
        parts = {"worker": running.process.pid, "watcher": watcher.process.pid}
        began = running.log.stat().st_size
        with backlog.kept():
            time.sleep(SWING_SECONDS)
            clock = CpuClock({**parts, **server_processes(servers, settings)})
            listed = Probe(settings).list_for(drawn, LISTINGS_A_SECOND, seconds)
            spent, least = _core_seconds(clock), min(backlog.depths)
        done = list(running.pages(began))
    assert least >= LEAST_DEPTH, f"only {least} pages of the backfill were waiting at times"
    return _told(listed, done, {"seconds": seconds, "least_depth_pages": least, "core_seconds": spent})


def _core_seconds(clock: CpuClock) -> dict[str, float]:
    """Return CPU seconds of each part, of all else, and those that nobody used."""
    spent, idle = clock.by_part(), clock.idle_seconds()
    return {**spent, "all else": clock.all_seconds() - idle - sum(spent.values()), "idle": idle}


def _told(listed: list[Listed], done: list[Figures], more: Figures) -> tuple[list[Goal], Figures]:
    in_hand = _in_hand(listed, done)
    waits: dict[str, list[float]] = {name: [] for name in (WHOLE, PREDICTED, *LEGS)}
    for each in listed:
        moments = each.inserted, each.queued, in_hand[each.queued], each.predicted, each.seen
        for name, begin, end in zip(LEGS, moments, moments[1:], strict=False):
            waits[name].append(end - begin)
        waits[WHOLE].append(each.seen - each.inserted)
        waits[PREDICTED].append(each.predicted - each.inserted)
    told = {name: _quantiles(each) for name, each in waits.items()}
    pages = {queue.value: _pages(each for each in done if each["queue"] == queue) for queue in Queue}
    goals = [Goal(f"performance.{NAME}.{at}_seconds", told[WHOLE][at], "<=", most) for at, most in TARGETS.items()]
    return goals, {"listings": len(listed), "legs": told, "pages": pages, **more}


def _in_hand(listed: list[Listed], done: list[Figures]) -> dict[float, float]:
    """Return for each page, by when it was queued, when a child began with it, in seconds since the epoch.

    The log does not say when a page was queued: pages are told apart by the order in which their rows were written.
    """
    written = {each.queued: each.predicted for each in listed}
    pages = [(_at(each), each["seconds"]) for each in done if each["queue"] == Queue.NEW]
    pages.sort(key=lambda page: page[0] - page[1]["save"])
    queued = sorted(written, key=lambda moment: written[moment])
    return {moment: at - sum(seconds.values()) for moment, (at, seconds) in zip(queued, pages, strict=True)}


def _at(page: Figures) -> float:
    return datetime.fromisoformat(page["timestamp"]).timestamp()


def _quantiles(waits: list[float]) -> Figures:
    """Return their mean, some percentiles, and the least, what one in fifty stays below, and so on to the most."""
    curve = np.round(np.percentile(waits, np.linspace(0, 100, CURVE)), 4).tolist()
    named = {f"p{each}": float(np.percentile(waits, each)) for each in QUANTILES}
    return {"mean": fmean(waits), **named, "percentiles": curve}


def _pages(pages: Iterable[Figures]) -> Figures:
    """Return how many pages of a queue there were, and the means of what they held and of the seconds of each stage."""
    every = list(pages)
    means = {what: fmean(page[what] for page in every) for what in ("products", "pictures")}
    stages = {stage: fmean(page["seconds"].get(stage, 0.0) for page in every) for stage in every[0]["seconds"]}
    return {"count": len(every), **means, "stages": stages}

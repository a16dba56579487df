"""How long after MongoDB has a listing its page is on the queue, by the rate at which listings come."""

import multiprocessing
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
import redis

from tests.benchmarks.goals import Goal
from tests.benchmarks.producer.inserting import Inserted, insert
from tests.benchmarks.producer.line import Line
from tests.benchmarks.producer.pages import decoded
from tests.benchmarks.producer.sizes import Sizes
from worker.contract.messages import Queue
from worker.contract.settings import Settings

#: listings a second
RATES = (200, 1000, 5000)
PERCENTILES = (50, 95, 99)
#: what is not on the queue so long after the page before it is missed
QUIET_SECONDS = 10


@dataclass
class Rate:
    """What was measured at one rate, all turns together."""

    lags: list[float] = field(default_factory=list)
    reached: list[float] = field(default_factory=list)
    #: of the watcher
    cpu_seconds: float = 0.0
    missed: int = 0
    doubled: int = 0

    def figures(self) -> dict[str, float]:
        """Return what is told."""
        lags = np.array(self.lags)
        return {
            "listings": len(lags),
            "reached_per_second": float(np.median(self.reached)),
            **{f"p{each}_seconds": float(np.percentile(lags, each)) for each in PERCENTILES},
            "max_seconds": float(lags.max()),
            "missed": self.missed,
            "doubled": self.doubled,
            "watcher_cpu_seconds_per_1000": 1000 * self.cpu_seconds / len(lags),
        }


def measure(line: Line, sizes: Sizes) -> tuple[list[Goal], dict[str, Any]]:
    """Let one watcher see listings come at each rate, in turn."""
    settings = line.settings("watching")
    started = line.start(settings, "shelver-producer", "watch")
    started.wait_for("watching watching")
    watcher, found, first = psutil.Process(started.process.pid), {rate: Rate() for rate in RATES}, 1
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(time.time).result()  # it is there before its pace is measured
        for turn in range(sizes.watch_turns):
            for rate in RATES[:: -1 if turn % 2 else 1]:
                before = sum(watcher.cpu_times()[:2])
                inserting = pool.submit(insert, settings, first, rate, sizes.watch_seconds)
                first += _compare(inserting, settings, first, found[rate])
                found[rate].cpu_seconds += sum(watcher.cpu_times()[:2]) - before
    line.drop(settings)
    figures = {rate: each.figures() for rate, each in found.items()}
    p99 = [Goal(f"producer.watch_lag_p99_seconds_at_{rate}", figures[rate]["p99_seconds"], "<=", 1) for rate in RATES]
    counts = [
        Goal(f"producer.watch_{each}", sum(figures[rate][each] for rate in RATES), "<=", 0)
        for each in ("missed", "doubled")
    ]
    return [*p99, *counts], {"seconds": sizes.watch_seconds, "turns": sizes.watch_turns, "by_rate": figures}


def _compare(inserting: "Future[Inserted]", settings: Settings, first: int, rate: Rate) -> int:
    """Take what comes until all of it has, and add it to what is known of the rate; return how many were inserted."""
    arrived: dict[int, float] = {}
    for moment, ids in _arrivals(inserting, settings, arrived):
        fresh = {each: moment for each in ids if each >= first and each not in arrived}
        rate.doubled += len(ids) - len(fresh)
        arrived |= fresh
    inserted = inserting.result()
    acknowledged_at = inserted.acknowledged_at
    rate.lags += [moment - acknowledged_at[each] for each, moment in arrived.items()]
    rate.reached.append(inserted.rate)
    rate.missed += len(acknowledged_at.keys() - arrived.keys())
    return inserted.count


def _arrivals(
    inserting: "Future[Inserted]", settings: Settings, arrived: Mapping[int, float]
) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Yield the moment a page is there, in seconds since the epoch, and its ids, until all of them have `arrived`."""
    latest = time.monotonic()
    with redis.Redis.from_url(settings.redis_url) as client:
        while not (inserting.done() and len(arrived) >= inserting.result().count):
            taken = client.brpop(Queue.NEW.value, timeout=1)
            moment = time.time()
            if taken:
                latest = time.monotonic()
                yield moment, decoded(taken[1]).ids
            elif inserting.done() and time.monotonic() - latest > QUIET_SECONDS:
                return

"""The queueing model: pages wait for a child, a child works on its page, its pictures wait for a GPU.

    arrivals ─▶ queue ─▶ child: before, pictures ─▶ GPU: alpha + beta x batch ─▶ child: after ─▶ stored

Every child has a core. A GPU takes what waits for it, up to a batch, as TensorFlow Serving does, and computes the
batch that it pads to. Workers come and go as KEDA's are told to: by depth plus in flight, looked at now and then; a new
one takes its time to start, and one that goes finishes its pages.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from tests.benchmarks.scaling.arrivals import Arrival
from tests.benchmarks.scaling.times import Line, Times

LARGEST_BATCH = 128
#: of the workers, at most so many leave in so long
LEAVING_SHARE, LEAVE_SECONDS = 0.25, 60.0
SAMPLE_SECONDS = 60.0


#: none was at hand: 3,400 pictures a second in full batches, as a small network does on a small card
ASSUMED_GPU = Line(0.005, 0.00025)


@dataclass(frozen=True)
class Fleet:
    """What runs, and how its number follows the work."""

    gpus: int = 1
    #: seconds of a batch on one of them
    gpu: Line = ASSUMED_GPU
    #: a batch is padded to the next of these, as the exported model is warmed for; none: to nothing
    batch_sizes: tuple[int, ...] = (1, 8, 32, 64, 128)
    # these as deploy/kubernetes has them
    children: int = 4
    least_workers: int = 2
    most_workers: int = 8
    #: pages, waiting or in flight, that one worker shall have
    pages_per_worker: int = 3
    look_seconds: float = 30.0
    #: for so long fewer workers must have been enough before one goes
    calm_seconds: float = 300.0
    start_seconds: float = 40.0
    #: of one worker and of one GPU, an hour
    worker_price: float = 0.20
    gpu_price: float = 0.60


@dataclass
class Course:
    """What came of it."""

    #: a row a page: when it was stored, how long that took from its enqueueing, its products
    stored: list[tuple[float, float, int]] = field(default_factory=list)
    #: a row a minute: seconds, workers, pages waiting or in flight
    samples: list[tuple[float, int, int]] = field(default_factory=list)
    worker_seconds: float = 0.0
    gpu_seconds: float = 0.0
    end: float = 0.0

    def lag(self, *percentiles: float) -> list[float]:
        """Return seconds from enqueued to stored, each product counted."""
        _, lags, products = np.array(self.stored).T
        order = np.argsort(lags)
        shares = np.cumsum(products[order]) / products.sum()
        return [float(lags[order][min(np.searchsorted(shares, each / 100), len(lags) - 1)]) for each in percentiles]

    def within(self, seconds: float) -> float:
        """Return the share of products that were stored so soon."""
        _, lags, products = np.array(self.stored).T
        return float(products[lags <= seconds].sum() / products.sum())

    def figures(self, fleet: Fleet) -> dict[str, Any]:
        """Return what is told."""
        p50, p95, p99, worst = self.lag(50, 95, 99, 100)
        workers = [count for _, count, _ in self.samples]
        hours = self.end / 3600
        return {
            "products": int(sum(products for _, _, products in self.stored)),
            "lag_p50_seconds": p50,
            "lag_p95_seconds": p95,
            "lag_p99_seconds": p99,
            "lag_worst_seconds": worst,
            "within_5_seconds": self.within(5),
            "workers_mean": float(self.worker_seconds / self.end),
            "workers_most": max(workers),
            "gpus": fleet.gpus,
            "gpu_busy": float(self.gpu_seconds / (fleet.gpus * self.end)),
            "deepest_pages": max(pages for _, _, pages in self.samples),
            "cost": float(self.worker_seconds / 3600 * fleet.worker_price + fleet.gpus * hours * fleet.gpu_price),
        }


def simulate(arrivals: Iterable[Arrival], times: Times, fleet: Fleet) -> Course:
    """Run it until the last page is stored."""
    return _Line(arrivals, times, fleet).run()


@dataclass
class _Worker:
    """A process with children; `leaving` tells each to take no more."""

    leaving: bool = False
    children: int = 0


class _Line:
    def __init__(self, arrivals: Iterable[Arrival], times: Times, fleet: Fleet):
        self._environment = simpy.Environment()
        self._times, self._fleet, self._course = times, fleet, Course()
        self._waiting: deque[Arrival] = deque()
        self._idle: deque[simpy.Event] = deque()
        self._in_flight, self._workers, self._starting = 0, [], 0
        self._gpus = [_Gpu(self._environment, fleet, self._course) for _ in range(fleet.gpus)]
        self._turn = 0
        self._has_ended = False
        self._arrivals = self._environment.process(self._arrive(arrivals))

    def run(self) -> Course:
        for _ in range(self._fleet.least_workers):
            self._add()
        self._environment.process(self._scale())
        self._environment.process(self._sample())
        self._environment.run(self._environment.process(self._until_done()))
        self._course.end = self._environment.now
        return self._course

    def _arrive(self, arrivals: Iterable[Arrival]) -> Iterator[simpy.Event]:
        for arrival in arrivals:
            if arrival.at > self._environment.now:
                yield self._environment.timeout(arrival.at - self._environment.now)
            self._waiting.append(arrival)
            if self._idle:
                self._idle.popleft().succeed()

    def _until_done(self) -> Iterator[simpy.Event]:
        yield self._arrivals
        while self._waiting or self._in_flight:
            yield self._environment.timeout(0.05)

    def _add(self) -> None:
        worker = _Worker(children=self._fleet.children)
        self._workers.append(worker)
        for _ in range(self._fleet.children):
            self._environment.process(self._child(worker))

    def _child(self, worker: _Worker) -> Iterator[simpy.Event]:
        was_idle = False
        while not worker.leaving:
            if not self._waiting:
                was_idle = True
                woken = self._environment.event()
                self._idle.append(woken)
                yield woken
                if worker.leaving or not self._waiting:
                    if self._waiting and self._idle:
                        self._idle.popleft().succeed()  # hand the call on
                    continue
            page = self._waiting.popleft()
            self._in_flight += 1
            if was_idle:
                yield self._environment.timeout(self._times.wake)
            was_idle = False
            yield from self._work(page)
            self._in_flight -= 1
        worker.children -= 1

    def _work(self, page: Arrival) -> Iterator[simpy.Event]:
        times = self._times
        yield self._environment.timeout(times.before.at(page.products) + times.pictures.at(page.pictures))
        for start in range(0, page.pictures, LARGEST_BATCH):
            self._turn = (self._turn + 1) % len(self._gpus)
            yield self._gpus[self._turn].ask(min(LARGEST_BATCH, page.pictures - start))
        yield self._environment.timeout(times.after.at(page.products))
        now = self._environment.now
        self._course.stored.append((now, now - page.at, page.products))

    def _scale(self) -> Iterator[simpy.Event]:
        fleet, wanted_lately, left_at = self._fleet, deque[tuple[float, int]](), 0.0
        while True:
            yield self._environment.timeout(fleet.look_seconds)
            now, pages = self._environment.now, len(self._waiting) + self._in_flight
            wanted = min(max(math.ceil(pages / fleet.pages_per_worker), fleet.least_workers), fleet.most_workers)
            wanted_lately.append((now, wanted))
            while wanted_lately[0][0] < now - fleet.calm_seconds:
                wanted_lately.popleft()
            staying = [worker for worker in self._workers if not worker.leaving]
            there = len(staying) + self._starting
            for _ in range(min(wanted, 2 * there) - there):  # at most twice as many, a look
                self._starting += 1
                self._environment.process(self._start())
            spare = there - max(count for _, count in wanted_lately)
            if spare > 0 and now - left_at >= LEAVE_SECONDS:
                left_at = now
            else:
                spare = 0
            for worker in staying[: min(spare, math.ceil(LEAVING_SHARE * there))]:
                worker.leaving = True
                for _ in range(min(fleet.children, len(self._idle))):
                    self._idle.popleft().succeed()

    def _start(self) -> Iterator[simpy.Event]:
        yield self._environment.timeout(self._fleet.start_seconds)
        self._starting -= 1
        self._add()

    def _sample(self) -> Iterator[simpy.Event]:
        """Pay by the second for what runs, or starts, or still finishes its pages; look once a minute."""
        seconds = 1.0
        while True:
            running = self._starting + sum(1 for worker in self._workers if not worker.leaving or worker.children)
            self._course.worker_seconds += seconds * running
            if self._environment.now % SAMPLE_SECONDS < seconds:
                pages = len(self._waiting) + self._in_flight
                self._course.samples.append((self._environment.now, running, pages))
            yield self._environment.timeout(seconds)


class _Gpu:
    """One model server: requests that wait together are computed together."""

    def __init__(self, environment: simpy.Environment, fleet: Fleet, course: Course):
        self._environment, self._fleet, self._course = environment, fleet, course
        self._waiting: deque[tuple[int, simpy.Event]] = deque()
        self._is_busy = False

    def ask(self, pictures: int) -> simpy.Event:
        """Return what happens when they are answered."""
        answered = self._environment.event()
        self._waiting.append((pictures, answered))
        if not self._is_busy:
            self._is_busy = True
            self._environment.process(self._compute())
        return answered

    def _compute(self) -> Iterator[simpy.Event]:
        while self._waiting:
            batch, pictures = [], 0
            while self._waiting and pictures + self._waiting[0][0] <= LARGEST_BATCH:
                count, answered = self._waiting.popleft()
                pictures += count
                batch.append(answered)
            seconds = self._fleet.gpu.at(next((size for size in self._fleet.batch_sizes if size >= pictures), pictures))
            self._course.gpu_seconds += seconds
            yield self._environment.timeout(seconds)
            for answered in batch:
                answered.succeed()
        self._is_busy = False

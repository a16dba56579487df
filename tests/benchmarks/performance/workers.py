"""Workers that empty a backlog, timed."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import redis
from sqlalchemy import make_url

from deploy.local.processes import Processes
from tests.benchmarks.performance.cpu import family_seconds
from tests.benchmarks.performance.line import Catalog, clear, count
from tests.benchmarks.producer.line import Line
from worker.contract.messages import Page, Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings

LOOK_SECONDS, LOOK_SHARE = 0.005, 0.002
#: each child builds its clients at its first page, and the model may compile for a size that it has not met
WARMING_PAGES = 4


@dataclass(frozen=True)
class Run:
    """A backlog that was emptied."""

    products: int
    #: those of the products, whether or not the model was asked about them
    pictures: int
    #: from before the first page was enqueued until the last one's rows were stored and it was acknowledged
    seconds: float
    #: of all processes of the worker, meanwhile
    cpu_seconds: float
    #: stage -> seconds by the wall, added up over pages, as the worker logs them
    stages: dict[str, float]
    #: products whose answer was copied, and pictures that the model was asked about, as the worker logs them
    copied: int
    asked: int


class Worker:
    """A worker with so many children, warm."""

    def __init__(self, servers: Line, served: Catalog, settings: Settings, children: int = 1):
        self._served, self.settings = served, settings
        self._pages, self._redis = Pages(settings), redis.Redis.from_url(settings.redis_url)
        self._started = servers.start(settings, "shelver-worker", "run", "--concurrency", str(children))
        self._started.wait_for(r"@\S+ ready")
        self.process, self.log = self._started.process, self._started.log
        self.classify(served.ids[: WARMING_PAGES * children * settings.page_size])

    def classify(self, ids: Sequence[int], page_size: int | None = None) -> Run:
        """Empty the store, put `ids` on the queue of backfills in pages, and return when all of them are predicted."""
        clear(self.settings)
        read, size = self.log.stat().st_size, page_size or self.settings.page_size
        started, cpu = time.perf_counter(), family_seconds(self.process.pid)
        for start in range(0, len(ids), size):
            self._pages.send(Page(tuple(ids[start : start + size]), Queue.BACKFILL))
        while self._redis.llen(Queue.BACKFILL.value) or self._redis.hlen("unacked"):
            assert self._started.is_running, self.log.read_text()[-2000:]
            # As precise as it need be: on two cores who looks takes from what is looked at.
            time.sleep(max(LOOK_SECONDS, LOOK_SHARE * (time.perf_counter() - started)))
        seconds, cpu = time.perf_counter() - started, family_seconds(self.process.pid) - cpu
        stored = count(self.settings)
        assert stored == len(ids), f"{stored:,} of {len(ids):,} are stored: {self.log.read_text()[-2000:]}"
        pictures = sum(self._served.pictures[each] for each in ids)
        done = list(self.pages(read))
        copied, asked = (sum(page[what] for page in done) for what in ("copied", "pictures"))
        return Run(len(ids), pictures, seconds, cpu, _stages(done), copied, asked)

    def pages(self, start: int = 0) -> Iterator[dict[str, Any]]:
        """Yield what is logged of each page that is done, from so many bytes of the log on."""
        for line in self.log.read_bytes()[start:].splitlines():
            if b'"page done"' in line:
                yield json.loads(line)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()
        self._pages.close()
        self._redis.close()


def _stages(pages: Iterable[dict[str, Any]]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for page in pages:
        for stage, taken in page["seconds"].items():
            seconds[stage] = seconds.get(stage, 0.0) + taken
    return seconds


@contextmanager
def worker(servers: Line, served: Catalog, settings: Settings, children: int = 1) -> Iterator[Worker]:
    """Give a warm worker and end it."""
    started = Worker(servers, served, settings, children)
    try:
        yield started
    finally:
        started.stop()


@contextmanager
def worker_apart(
    servers: Line, served: Catalog, settings: Settings, number: int, children: int = 1
) -> Iterator[Worker]:
    """Give a warm worker that shares neither queue nor log with others, so that their runs can take turns, and end it.

    It has Redis' database of this number to itself.
    """
    own = make_url(settings.redis_url).set(database=str(number)).render_as_string(hide_password=False)
    processes = Processes(servers.folder / f"logs-{number}")
    line = replace(servers, processes=processes)
    try:
        with worker(line, served, settings.model_copy(update={"redis_url": own}), children) as started:
            yield started
    finally:
        processes.stop()

"""A backfill that goes on and on, and what it makes of the machine meanwhile."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import cycle, islice

import psutil
import redis
from sqlalchemy import delete

from tests.benchmarks.producer.line import Line
from worker.contract.database import Database
from worker.contract.messages import Page, Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.tables import predictions

LOOK_SECONDS = 0.05
#: pages; there must be more than twice as many, or one would come again before it is done
KEPT = 60
#: logs that begin so are of
NAMES = {
    "mongod": "MongoDB",
    "redis": "Redis",
    "model": "the model server",
    "shelver-worker": "the worker",
    "shelver-producer": "the watcher",
}


class Backlog:
    """Pages on the queue of backfills, topped up again and again with products whose rows are forgotten before."""

    def __init__(self, settings: Settings, ids: Sequence[int]):
        size = settings.page_size
        self._settings = settings
        self._pages = cycle(ids[start : start + size] for start in range(0, len(ids), size))
        self._is_over = threading.Event()
        #: pages that waited, at every look
        self.depths: list[int] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep it deep; forget at the end what is left."""
        with redis.Redis.from_url(self._settings.redis_url) as client:
            topping = threading.Thread(target=self._top_up, args=(client,))
            topping.start()
            try:
                yield
            finally:
                self._is_over.set()
                topping.join()
                client.delete(Queue.BACKFILL.value)
                while client.hlen("unacked"):
                    time.sleep(LOOK_SECONDS)

    def _top_up(self, client: redis.Redis) -> None:
        forget = delete(predictions)  # and what hangs on them
        with closing(Pages(self._settings)) as pages, closing(Database(self._settings.database_url)) as database:
            while not self._is_over.wait(LOOK_SECONDS):
                depth = client.llen(Queue.BACKFILL.value)
                if self.depths or depth:  # before the first page there is no backlog to be shallow
                    self.depths.append(depth)
                for ids in islice(self._pages, max(0, KEPT - depth)):
                    with database.begin() as connection:
                        connection.execute(forget.where(predictions.c.product_id.in_(ids)))
                    pages.send(Page(tuple(ids), Queue.BACKFILL))


class CoreSeconds:
    """What the cores did from now on, and for whom."""

    def __init__(self, servers: Line):
        self._processes = {_name(each.name): psutil.Process(each.process.pid) for each in servers.processes.started}
        postmaster = (servers.folder / "postgres" / "postmaster.pid").read_text().splitlines()[0]
        self._processes |= {"PostgreSQL": psutil.Process(int(postmaster))}
        self._began, self._before, self._idle = time.monotonic(), self._now(), psutil.cpu_times()

    def since(self) -> dict[str, float]:
        """Return CPU seconds of each part with its children, of all else, and those that nobody used."""
        by_name = {name: seconds - self._before[name] for name, seconds in self._now().items()}
        now, cores = psutil.cpu_times(), psutil.cpu_count() or 1
        idle = sum(getattr(now, kind) - getattr(self._idle, kind) for kind in ("idle", "iowait"))
        others = cores * (time.monotonic() - self._began) - idle - sum(by_name.values())
        return {**by_name, "all else": others, "idle": idle}

    def _now(self) -> dict[str, float]:
        return {
            name: sum(sum(each.cpu_times()[:2]) for each in (process, *process.children(recursive=True)))
            for name, process in self._processes.items()
        }


def _name(log: str) -> str:
    return next(shown for start, shown in NAMES.items() if log.startswith(start))

"""The whole line of one case: workers and a producer as processes, on servers that the case may break."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis
from sqlalchemy import func, select

from deploy.local.processes import Processes, Started, run, tail
from tests.conftest import command
from tests.faults.servers import Server
from worker.contract.database import Database
from worker.contract.messages import Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.tables import predictions, rejects

CHILDREN = 2
POLL_SECONDS = 0.05
#: a tenth of the catalog
BEGUN_ROWS = 200
#: redelivery takes 46 s instead of a quarter of an hour; a page of 20 is one of a hundred
SHORT = {
    "page_size": 20,
    "page_time_limit_seconds": 12,
    "wait_limit_seconds": 2,
    "predict_timeout_seconds": 0.5,
    "connect_timeout_seconds": 0.5,
    "shutdown_seconds": 5,
}


@dataclass
class Line:
    """What a case acts on. The ids that it enqueues are those it answers for at the end."""

    name: str
    settings: Settings
    folder: Path
    processes: Processes
    redis: Server
    #: SQL as the case itself sees it, past any proxy
    database_url: str
    #: of the workers, beside the settings
    environment: dict[str, str] = field(default_factory=dict)
    workers: list[Started] = field(default_factory=list)
    asked_for: set[int] = field(default_factory=set)
    started: float = field(default_factory=time.monotonic)
    _named: int = 0

    def change(self, **settings: object) -> None:
        """Give what starts from now on other settings."""
        self.settings = self.settings.model_copy(update=settings)

    def start_workers(self, count: int = 2) -> None:
        """Start workers and wait until they take pages."""
        environment = {**os.environ, **self.settings.environment(), **self.environment}
        new = []
        for _ in range(count):
            self._named += 1
            name = f"worker-{self._named}"
            arguments = ["run", "--concurrency", str(CHILDREN), "-n", f"{name}@%h"]
            new.append(self.processes.start(name, [*command("shelver-worker"), *arguments], environment))
        for worker in new:
            worker.wait_for(r"@\S+ ready")
        self.workers += new

    def produce(self, *arguments: str) -> None:
        """Run shelver-producer to its end."""
        environment = {**os.environ, **self.settings.environment()}
        run("producer", [*command("shelver-producer"), *arguments], environment, self.folder / "producer.log")

    def enqueue_all(self, ids: Iterable[int]) -> None:
        """Enqueue the whole catalog, whose ids these are."""
        self.asked_for |= set(ids)
        self.produce("backfill")

    def get_to_work(self, ids: Iterable[int]) -> None:
        """Start workers, enqueue the whole catalog, and return amid the work."""
        self.start_workers()
        self.enqueue_all(ids)
        self.wait_for_rows(BEGUN_ROWS)

    def enqueue_all_at_once(self, ids: Iterable[int], producers: int) -> None:
        """As above, by several producers at the same time."""
        self.asked_for |= set(ids)
        environment = {**os.environ, **self.settings.environment()}
        backfill = [*command("shelver-producer"), "backfill"]
        # One backfill is done by one process at a time: each of these has bounds of its own, beyond all ids.
        started = [
            self.processes.start(f"producer-{each}", [*backfill, f"--from={-each}"], environment)
            for each in range(1, producers + 1)
        ]
        assert [each.process.wait(60) for each in started] == [0] * producers

    def enqueue(self, ids: Iterable[int], queue: Queue = Queue.NEW) -> None:
        """Enqueue these alone, from this process."""
        ids = list(ids)
        self.asked_for |= set(ids)
        with closing(Pages(self.settings)) as pages:
            for _ in pages.send_all(ids, queue):
                pass

    def family(self) -> list[psutil.Process]:
        """Return the processes of all workers."""
        return [*(psutil.Process(worker.process.pid) for worker in self.workers), *self.children()]

    def children(self) -> list[psutil.Process]:
        """Return the pool children of all workers."""
        return [child for worker in self.workers for child in psutil.Process(worker.process.pid).children()]

    def kill_worker(self, worker: Started) -> None:
        """End a worker and its children as a lost machine does."""
        for process in [psutil.Process(worker.process.pid), *psutil.Process(worker.process.pid).children()]:
            process.kill()
        worker.process.wait()
        self.workers.remove(worker)

    def stop_worker(self, worker: Started) -> None:
        """Tell a worker to stop, as an orchestrator does, and wait until it has."""
        worker.process.send_signal(signal.SIGTERM)
        worker.process.wait(30)
        self.workers.remove(worker)

    def count(self) -> int:
        """Return how many products have a prediction, and how many a reject, together."""
        with closing(Database(self.database_url)) as database, database.begin() as connection:
            ids = (table.c.product_id for table in (predictions, rejects))
            return sum(connection.scalar(select(func.count(each.distinct()))) for each in ids)

    def waiting(self) -> dict[str, int]:
        """Return how many pages are on each queue, and how many are taken and not acknowledged."""
        with redis.Redis.from_url(self.redis.url) as client:
            flying = {"unacked": client.hlen("unacked"), "unacked_index": client.zcard("unacked_index")}
            return {**{queue.value: client.llen(queue.value) for queue in Queue}, **flying}

    def wait_for_rows(self, count: int) -> None:
        """Return once so many rows are stored."""
        self.wait_until(lambda: self.count() >= count, f"{count} rows")

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
        """Return once it holds; fails with the ends of the workers' logs."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} after {seconds:.0f} s; {self.waiting()}; {self.logs_end()}")
            time.sleep(POLL_SECONDS)

    def logs(self) -> str:
        """Return what all workers have logged, those that are gone included."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("logs/worker-*.log")))

    def logs_end(self) -> str:
        """Return the end of every worker's log."""
        return "\n".join(tail(path) for path in sorted(self.folder.glob("logs/worker-*.log")))

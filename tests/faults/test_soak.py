"""make soak: mixed load for half an hour, a fault every few seconds, and the audit at the end; writes docs/soak.json.

SOAK_SECONDS and SOAK_SEED change how long and which; the same seed draws the same faults at the same moments.
"""

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import grpc
import psutil
import pytest
import redis
from pymongo import MongoClient
from pymongo.collection import Collection
from sqlalchemy import make_url

from tests.faults import audit
from tests.faults.audit import Answers
from tests.faults.conftest import MakeLine
from tests.faults.line import Line
from tests.faults.proxies import ModelProxy, TcpProxy
from tests.faults.servers import Server
from worker.contract.dump import CODEC
from worker.contract.errors import Unavailable
from worker.contract.messages import Queue
from worker.contract.rejects import Reason

SECONDS = float(os.environ.get("SOAK_SECONDS", "1800"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
REPORT = Path(__file__).parents[2] / "docs" / "soak.json"
#: between two faults
PAUSE_SECONDS = (3.0, 8.0)
#: how long a fault that heals lasts
FAULT_SECONDS = (0.5, 6.0)
#: between two batches of listings, and how many a batch has
LOAD_SECONDS, LISTED = 1.0, (1, 60)
STATUSES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL)

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 900)]


@dataclass
class Load:
    """Lists products without end, each with the pictures of one of the catalog and a tail that no decoder reads."""

    line: Line
    listings: "Collection[dict[str, object]]"
    #: documents of the catalog
    originals: list[dict[str, object]]
    random: random.Random
    #: product -> the one whose answer it must get
    original_of: dict[int, int] = field(default_factory=dict)
    rejected: dict[int, Reason] = field(default_factory=dict)

    def run(self, stopped: threading.Event) -> None:
        """List products until stopped."""
        fresh = count(10**9)
        while not stopped.wait(LOAD_SECONDS):
            ids = [next(fresh) for _ in range(self.random.randint(*LISTED))]
            self.listings.insert_many([document for each in ids if (document := self._document(each))])
            again = self.random.sample(sorted(self.original_of), min(5, len(self.original_of)))
            self._enqueue([*ids, *again], self.random.choice(list(Queue)))

    def _document(self, identity: int) -> dict[str, object] | None:
        """Draw a listing; one in a hundred has a damaged picture, one in a hundred is not in the catalog at all."""
        kind = self.random.random()
        if kind < 0.01:
            self.rejected[identity] = Reason.NOT_FOUND
            return None
        if kind < 0.02:
            self.rejected[identity] = Reason.UNDECODABLE
            return {"_id": identity, "imgs": [{"picture": b"\xff\xd8\xff" + self.random.randbytes(50)}]}
        original = self.random.choice(self.originals)
        self.original_of[identity] = original["_id"]
        own = self.random.randbytes(8)
        images = [{"picture": image["picture"] + own} for image in original["imgs"]]
        return {"_id": identity, "imgs": images}

    def _enqueue(self, ids: list[int], queue: Queue) -> None:
        """Try until Redis takes them, as the catalog system would."""
        while True:
            with suppress(Unavailable):
                return self.line.enqueue(ids, queue)
            time.sleep(0.5)


@dataclass
class Faults:
    """What can go wrong, each by its name; a fault that lasts is healed before it returns."""

    line: Line
    model: ModelProxy
    redis: TcpProxy
    mongo: TcpProxy
    store: TcpProxy
    random: random.Random

    def all(self) -> dict[str, Callable[[], None]]:
        """Return them by name."""
        named = [
            self.child_killed, self.worker_killed, self.worker_stopped, self.redis_cut, self.redis_restarted,
            self.redis_stalled, self.mongo_cut, self.store_cut, self.store_stalled, self.model_fails, self.model_slow,
            self.garbage_sent,
        ]  # fmt: skip
        return {each.__name__: each for each in named}

    def child_killed(self) -> None:
        """A picture, or the kernel short of memory."""
        if children := self.line.children():
            with suppress(psutil.NoSuchProcess):
                self.random.choice(children).kill()

    def worker_killed(self) -> None:
        """A machine that is lost, and replaced."""
        self.line.kill_worker(self.random.choice(self.line.workers))
        self.line.start_workers(1)

    def worker_stopped(self) -> None:
        """A deployment."""
        self.line.stop_worker(self.random.choice(self.line.workers))
        self.line.start_workers(1)

    def redis_cut(self) -> None:
        """The network."""
        self._cut(self.redis)

    def redis_stalled(self) -> None:
        """The network, silently."""
        self._stall(self.redis)

    def redis_restarted(self) -> None:
        """With its data."""
        self.line.redis.kill()
        self._last()
        self.line.redis.start()

    def mongo_cut(self) -> None:
        """The network."""
        self._cut(self.mongo)

    def store_cut(self) -> None:
        """The network, amid a transaction or not."""
        self._cut(self.store)

    def store_stalled(self) -> None:
        """The network, silently."""
        self._stall(self.store)

    def model_fails(self) -> None:
        """Any status that waiting helps against."""
        status = self.random.choice(STATUSES)
        self.model.fault = lambda method, request: status
        self._last()
        self.model.heal()

    def model_slow(self) -> None:
        """Past its deadline."""
        seconds = 2 * self.line.settings.predict_timeout_seconds
        self.model.fault = lambda method, request: time.sleep(seconds) if method.endswith("/Predict") else None
        self._last()
        self.model.heal()

    def garbage_sent(self) -> None:
        """A foreign producer."""
        with redis.Redis.from_url(self.line.redis.url) as client:
            client.lpush(self.random.choice(list(Queue)).value, self.random.randbytes(20))

    def _cut(self, proxy: TcpProxy) -> None:
        proxy.cut()
        self._last()
        proxy.restore()

    def _stall(self, proxy: TcpProxy) -> None:
        proxy.stall()
        self._last()
        proxy.restore()

    def _last(self) -> None:
        time.sleep(self.random.uniform(*FAULT_SECONDS))


@pytest.fixture
def soaked(
    make_line: MakeLine, mongo: Server, proxy: ModelProxy, postgres_url: str
) -> Iterator[tuple[Line, dict[str, TcpProxy]]]:
    """A line on PostgreSQL in which every way can be cut, and the ways."""
    line = make_line("postgresql", serving_address=proxy.address)
    store = make_url(line.database_url)
    ways = {
        "mongo": TcpProxy(_host_and_port(mongo.url)),
        "redis": TcpProxy(_host_and_port(line.redis.url)),
        "store": TcpProxy(f"{store.query['host']}/.s.PGSQL.5432"),
    }
    line.change(
        mongo_url=f"mongodb://127.0.0.1:{ways['mongo'].port}/?directConnection=true",
        redis_url=f"redis://127.0.0.1:{ways['redis'].port}/0",
        database_url=f"postgresql+psycopg://postgres@127.0.0.1:{ways['store'].port}/{store.database}",
        mongo_collection="soak",
    )
    yield line, ways
    for way in ways.values():
        way.close()


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 0


def test_soak(
    soaked: tuple[Line, dict[str, TcpProxy]], proxy: ModelProxy, mongo: Server, catalog: list[int], undisturbed: Answers
) -> None:
    """Nothing is lost, doubled or different after half an hour of trouble, and no process has grown."""
    line, ways = soaked
    line.start_workers()
    stopped, started = threading.Event(), time.monotonic()
    happened: Counter[str] = Counter()
    grown: list[tuple[float, float]] = []
    with MongoClient(mongo.url) as client:
        database = client.get_database(line.settings.mongo_database, codec_options=CODEC)
        originals = list(database.products.find())
        load = Load(line, database.soak, originals, random.Random(SEED))
        listing = threading.Thread(target=load.run, args=(stopped,))
        listing.start()
        try:
            faults = Faults(line, proxy, ways["redis"], ways["mongo"], ways["store"], random.Random(SEED + 1))
            named = faults.all()
            while time.monotonic() - started < SECONDS:
                time.sleep(faults.random.uniform(*PAUSE_SECONDS))
                grown.append((time.monotonic() - started, _memory(line)))
                name = faults.random.choice(list(named))
                named[name]()
                happened[name] += 1
        finally:
            stopped.set()
            listing.join()
        audit.settle(line, seconds=300)
    answers, refused = audit.read(line.database_url)
    assert refused == load.rejected
    assert {identity for identity, _ in answers} == load.original_of.keys()
    different = [key for key, answer in answers.items() if not answer.is_like(undisturbed[load.original_of[key[0]], 1])]
    assert not different, f"{len(different)} answers differ, e.g. of {different[:3]}"
    early, late = _thirds(grown)
    report = {
        "seconds": round(time.monotonic() - started),
        "seed": SEED,
        "products": len(load.original_of),
        "rejected": len(load.rejected),
        "faults": dict(sorted(happened.items())),
        "megabytes_a_process": {"first third": round(early, 1), "last third": round(late, 1)},
    }
    print(json.dumps(report, indent=2))
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    assert late < 1.25 * early, report


def _memory(line: Line) -> float:
    """Return the median of what a process of the workers has for itself alone, in megabytes."""
    sizes = []
    for worker in line.workers:
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(worker.process.pid)
            sizes += [each.memory_full_info().uss / 1e6 for each in (parent, *parent.children())]
    return median(sizes)


def _thirds(samples: list[tuple[float, float]]) -> tuple[float, float]:
    third = samples[-1][0] / 3
    return (
        median(size for moment, size in samples if moment <= third),
        median(size for moment, size in samples if moment >= 2 * third),
    )

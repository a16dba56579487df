"""make soak: mixed load for half an hour, a fault every few seconds, and the audit at the end.

SOAK_SECONDS and SOAK_SEED change how long and which: the same seed draws the same faults, pauses and listings.
"""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from statistics import median
from typing import TypeVar

import grpc
import psutil
import pytest
import redis
from pymongo import MongoClient
from pymongo.collection import Collection
from sqlalchemy import make_url

from deploy.local.processes import Started
from tests.faults import audit, report
from tests.faults.audit import Answers
from tests.faults.conftest import Interpose, MakeLine
from tests.faults.line import Line
from tests.faults.proxies import Fault, ModelProxy, TcpProxy, failing, slow
from tests.faults.servers import Server
from worker.contract.dump import CODEC
from worker.contract.errors import Unavailable
from worker.contract.messages import Queue
from worker.contract.rejects import Reason

SECONDS = float(os.environ.get("SOAK_SECONDS", "1800"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
#: between two faults
PAUSE_SECONDS = (3.0, 8.0)
#: how long a fault that heals lasts
FAULT_SECONDS = (0.5, 6.0)
#: between two batches of listings, and how many a batch has
LOAD_SECONDS, LISTED = 1.0, (1, 60)
LOGGED = ("page done", "page goes back", "is no message and is dropped")
STATUSES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL)

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 900)]


T = TypeVar("T")


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
    #: ids, those that were enqueued again included
    enqueued: int = 0

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
                self.line.enqueue(ids, queue)
                self.enqueued += len(ids)
                return
            time.sleep(0.5)


@dataclass(frozen=True)
class Event:
    """A fault as it was drawn, before anything was known of the run."""

    pause_seconds: float
    name: str
    #: of a fault that heals
    lasts_seconds: float
    #: 0 to 1: which of those that it may hit
    which: float

    def choice(self, among: Sequence[T]) -> T:
        """Return the one that is hit."""
        return among[int(self.which * len(among))]


def schedule(seed: int, names: Sequence[str]) -> Iterator[Event]:
    """Draw faults without end, the same for the same seed."""
    chance = random.Random(seed)
    while True:
        yield Event(
            chance.uniform(*PAUSE_SECONDS), chance.choice(names), chance.uniform(*FAULT_SECONDS), chance.random()
        )


@dataclass
class Faults:
    """What can go wrong, each by its name; a fault that lasts is healed before it returns."""

    line: Line
    model: ModelProxy
    redis: TcpProxy
    mongo: TcpProxy
    store: TcpProxy

    def all(self) -> dict[str, Callable[[Event], None]]:
        """Return them by name."""
        named = [
            self.child_killed, self.worker_killed, self.worker_stopped, self.redis_cut, self.redis_restarted,
            self.redis_stalled, self.mongo_cut, self.mongo_stalled, self.store_cut, self.store_stalled,
            self.model_fails, self.model_slow, self.garbage_sent,
        ]  # fmt: skip
        return {each.__name__: each for each in named}

    @property
    def _mortal(self) -> Started:
        """The worker that dies and is replaced; the first lives to the end, for its memory to be seen."""
        return self.line.workers[1]

    def child_killed(self, event: Event) -> None:
        """A picture, or the kernel short of memory."""
        if children := psutil.Process(self._mortal.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                event.choice(children).kill()

    def worker_killed(self, event: Event) -> None:
        """A machine that is lost, and replaced."""
        self.line.kill_worker(self._mortal)
        self.line.start_workers(1)

    def worker_stopped(self, event: Event) -> None:
        """A deployment."""
        self.line.stop_worker(self._mortal)
        self.line.start_workers(1)

    def redis_cut(self, event: Event) -> None:
        """The network."""
        self._cut(self.redis, event)

    def redis_stalled(self, event: Event) -> None:
        """The network, silently."""
        self._stall(self.redis, event)

    def redis_restarted(self, event: Event) -> None:
        """With its data."""
        self.line.redis.kill()
        time.sleep(event.lasts_seconds)
        self.line.redis.start()

    def mongo_cut(self, event: Event) -> None:
        """The network."""
        self._cut(self.mongo, event)

    def mongo_stalled(self, event: Event) -> None:
        """The network, silently."""
        self._stall(self.mongo, event)

    def store_cut(self, event: Event) -> None:
        """The network, amid a transaction or not."""
        self._cut(self.store, event)

    def store_stalled(self, event: Event) -> None:
        """The network, silently."""
        self._stall(self.store, event)

    def model_fails(self, event: Event) -> None:
        """Any status that waiting helps against."""
        self._disturb(failing(event.choice(STATUSES)), event)

    def model_slow(self, event: Event) -> None:
        """Past its deadline."""
        self._disturb(slow(2 * self.line.settings.predict_timeout_seconds), event)

    def garbage_sent(self, event: Event) -> None:
        """A foreign producer."""
        garbage = random.Random(event.which).randbytes(20)
        with redis.Redis.from_url(self.line.redis.url) as client:
            client.lpush(event.choice(list(Queue)).value, garbage)

    def _cut(self, proxy: TcpProxy, event: Event) -> None:
        proxy.cut()
        time.sleep(event.lasts_seconds)
        proxy.restore()

    def _stall(self, proxy: TcpProxy, event: Event) -> None:
        proxy.stall()
        time.sleep(event.lasts_seconds)
        proxy.restore()

    def _disturb(self, fault: Fault, event: Event) -> None:
        self.model.fault = fault
        time.sleep(event.lasts_seconds)
        self.model.heal()


@pytest.fixture
def soaked(
    make_line: MakeLine, interpose: Interpose, mongo: Server, proxy: ModelProxy
) -> tuple[Line, dict[str, TcpProxy]]:
    """A line on PostgreSQL in which every way can be cut, and the ways."""
    line = make_line("postgresql", serving_address=proxy.address)
    store = make_url(line.database_url)
    ways = {
        "mongo": interpose(mongo.url),
        "redis": interpose(line.redis.url),
        "store": interpose(line.database_url),
    }
    line.change(
        mongo_url=f"mongodb://127.0.0.1:{ways['mongo'].port}/?directConnection=true",
        redis_url=f"redis://127.0.0.1:{ways['redis'].port}/0",
        database_url=f"postgresql://{store.username}@127.0.0.1:{ways['store'].port}/{store.database}",
        mongo_collection="soak",
    )
    return line, ways


def test_soak(
    soaked: tuple[Line, dict[str, TcpProxy]], proxy: ModelProxy, mongo: Server, catalog: list[int], undisturbed: Answers
) -> None:
    """Nothing is lost, doubled or different after half an hour of trouble, and no process has grown."""
    line, ways = soaked
    line.start_workers()
    stopped, started = threading.Event(), time.monotonic()
    happened: Counter[str] = Counter()
    sizes: list[tuple[float, float]] = []
    with MongoClient(mongo.url) as client:
        database = client.get_database(line.settings.mongo_database, codec_options=CODEC)
        originals = list(database.products.find())
        load = Load(line, database.soak, originals, random.Random(SEED))
        listing = threading.Thread(target=load.run, args=(stopped,))
        listing.start()
        try:
            named = Faults(line, proxy, **ways).all()
            for event in schedule(SEED, list(named)):
                time.sleep(event.pause_seconds)
                sizes.append((time.monotonic() - started, _memory(line.workers[0])))
                if sizes[-1][0] > SECONDS:
                    break
                named[event.name](event)
                happened[event.name] += 1
        finally:
            stopped.set()
            listing.join()
        line.asked_for = load.original_of.keys() | load.rejected.keys()
        audit.settle(line, seconds=300)
    answers, refused = audit.read(line.database_url)
    assert refused == load.rejected
    assert {identity for identity, _ in answers} == load.original_of.keys()
    different = [key for key, answer in answers.items() if not answer.is_like(undisturbed[load.original_of[key[0]], 1])]
    assert not different, f"{len(different)} answers differ, e.g. of {different[:3]}"
    megabytes = _thirds(sizes)
    facts = {
        "seconds, the end of the work included": round(time.monotonic() - started),
        "seed": SEED,
        "listings": len(load.original_of) + len(load.rejected),
        "ids enqueued, some of them again": load.enqueued,
        "predicted, once each, as in an undisturbed run": len(answers),
        **{f"rejected, once each: {reason}": number for reason, number in sorted(Counter(refused.values()).items())},
        **{f"`{text}` in the logs": line.logs().count(text) for text in LOGGED},
        **{f"{name.replace('_', ' ')}, times": number for name, number in sorted(happened.items())},
        "megabytes of the worker that lives, median by thirds of the run": ", ".join(map(str, megabytes)),
    }
    told = report.table(("of the soak", "figure"), facts.items())
    print(told)
    report.write("soak", told)
    # The first third holds what a process takes only once: libraries, pools, the model's largest batch.
    assert megabytes[2] < 1.1 * megabytes[1], told


def _memory(worker: Started) -> float:
    """Return what a worker and its children have for themselves alone, in megabytes."""
    parent = psutil.Process(worker.process.pid)
    return sum(each.memory_full_info().uss for each in (parent, *parent.children())) / 1e6


def _thirds(samples: list[tuple[float, float]]) -> list[float]:
    third = (samples[-1][0] + 1) / 3
    return [round(median(size for moment, size in samples if int(moment / third) == number), 1) for number in range(3)]

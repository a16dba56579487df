"""What the parts run on: catalogs of drawn listings, served models, and a worker that empties a backlog, timed."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import redis
from pymongo import MongoClient
from sqlalchemy import text

from tests.benchmarks import dumps
from tests.benchmarks.producer.line import Line
from tests.benchmarks.scaling.real import publish
from tests.faults.servers import model_server
from worker.contract.database import Database
from worker.contract.messages import Page, Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings

LOOK_SECONDS, LOOK_SHARE = 0.005, 0.002
#: as settings name them
SIGNATURES = ("pixels", "jpeg")
INSERTED_AT_ONCE = 500
#: each child builds its clients at its first page, and the model may compile for a size that it has not met
WARMING_PAGES = 4


@dataclass(frozen=True)
class Catalog:
    """Listings in MongoDB with ids from 0 on, and a store of their own with nothing in it."""

    settings: Settings
    categories: Path
    #: of each product, by its id
    pictures: list[int]

    @property
    def ids(self) -> range:
        """Return all of them."""
        return range(len(self.pictures))


def catalog(
    servers: Line,
    name: str,
    products: int,
    copied: float = 0.0,
    pictures_each: int | None = None,
    **settings: object,
) -> Catalog:
    """Draw listings, of whose pictures a share is `copied`, into a MongoDB database and return them.

    They have as many pictures as CDiscount's, or `pictures_each`.
    """
    chosen = servers.settings(name, log_format="json", state_folder=str(servers.folder / f"state-{name}"), **settings)
    categories = dumps.write_categories(servers.folder / f"categories-{name}.csv")
    drawn = islice(dumps.listings(copied=copied, pictures_each=pictures_each), products)
    return Catalog(chosen, categories, insert(chosen, drawn))


def insert(settings: Settings, drawn: Iterator[dict[str, Any]]) -> list[int]:
    """Put listings into MongoDB; return how many pictures each has."""
    pictures: list[int] = []
    with MongoClient(settings.mongo_url) as client:
        listings = client[settings.mongo_database][settings.mongo_collection]
        while some := list(islice(drawn, INSERTED_AT_ONCE)):
            listings.insert_many(some)
            pictures += [len(each["imgs"]) for each in some]
    return pictures


def serve(servers: Line, served: Catalog, backbone: str, *options: str) -> Settings:
    """Publish an untrained network, `tiny` or one of trainer.backbones, and serve it; return settings that lead there.

    `options` are further ones of `shelver-trainer serve`, such as --pace.
    """
    folder = servers.folder / f"model-{served.settings.mongo_database}-{backbone}"
    if not folder.exists():
        folder.mkdir()
        publish(folder, served.categories, served.settings, backbone)
    server = model_server(servers.processes, folder / "models", *options)
    return served.settings.model_copy(update={"serving_address": server.url})


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
        read, cpu, size = self.log.stat().st_size, self._cpu_seconds(), page_size or self.settings.page_size
        started = time.perf_counter()
        for start in range(0, len(ids), size):
            self._pages.send(Page(tuple(ids[start : start + size]), Queue.BACKFILL))
        while self._redis.llen(Queue.BACKFILL.value) or self._redis.hlen("unacked"):
            assert self._started.is_running, self.log.read_text()[-2000:]
            # As precise as it need be: on two cores who looks takes from what is looked at.
            time.sleep(max(LOOK_SECONDS, LOOK_SHARE * (time.perf_counter() - started)))
        seconds, cpu = time.perf_counter() - started, self._cpu_seconds() - cpu
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

    def _cpu_seconds(self) -> float:
        main = psutil.Process(self.process.pid)
        own = [each.cpu_times() for each in (main, *main.children(recursive=True))]
        gone = main.cpu_times()  # of children that were replaced
        return sum(each.user + each.system for each in own) + gone.children_user + gone.children_system


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


def clear(settings: Settings) -> None:
    """Forget what is predicted."""
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        connection.execute(text("TRUNCATE predictions, candidates, rejects"))


def count(settings: Settings) -> int:
    """Return how many products have a prediction."""
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM predictions")) or 0)


def jpegs(served: Catalog, ids: Iterable[int]) -> list[bytes]:
    """Return the pictures of these products, in order."""
    with MongoClient(served.settings.mongo_url) as client:
        listings = client[served.settings.mongo_database][served.settings.mongo_collection]
        found = {each["_id"]: each for each in listings.find({"_id": {"$in": list(ids)}})}
    return [image["picture"] for each in sorted(found) for image in found[each]["imgs"]]


def written(pictures: Iterable[bytes], folder: Path) -> Path:
    """Write pictures to files whose names sort as they come; return the folder."""
    folder.mkdir()
    for number, picture in enumerate(pictures):
        (folder / f"{number:06}.jpg").write_bytes(picture)
    return folder

"""The same on real processes: how long each stage takes, page by page, and what becomes of a small load."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from celery import Celery
from pymongo import MongoClient
from sqlalchemy import text

from tests.benchmarks import dumps
from tests.benchmarks.producer.line import Line as Servers
from tests.benchmarks.scaling.arrivals import Arrival
from tests.benchmarks.scaling.times import Line, Times, fit
from tests.faults.servers import model_server
from worker.contract.broker import celery_options
from worker.contract.database import Database
from worker.contract.messages import TASK, Page
from worker.contract.settings import Settings

SIDE = 180
LISTING_BYTES = 8_600
SIZES = (1, 2, 4, 8, 16, 32, 64)
LOOK_SECONDS = 0.01


@dataclass(frozen=True)
class Done:
    """A page as its worker logs it."""

    #: when, in seconds since the epoch
    at: float
    #: seconds from its enqueueing
    lag: float
    products: int
    pictures: int
    #: stage -> seconds
    stages: dict[str, float]

    def own(self) -> float:
        """Return the seconds of the stages that have a line of their own."""
        return sum(self.stages.get(each, 0) for each in ("stack", "predict", "save"))


class Catalog:
    """Listings that no worker has seen yet, taken one after another."""

    def __init__(self, servers: Servers, settings: Settings, products: int):
        dump, self.categories = dumps.draw(servers.folder / settings.mongo_database, products * LISTING_BYTES)
        loading = servers.start(settings, "shelver-producer", "load", str(dump))
        assert loading.process.wait() == 0, loading.log.read_text()
        with MongoClient(settings.mongo_url) as client:
            listings = client[settings.mongo_database][settings.mongo_collection]
            self.left = listings.estimated_document_count()
            #: id -> number of pictures
            self.pictures = {each["_id"]: each["n"] for each in listings.aggregate([_COUNTED])}
        self._next = 0

    def take(self, count: int) -> tuple[int, ...]:
        """Return so many ids."""
        assert self._next + count <= self.left, "draw a larger catalog"
        self._next += count
        return tuple(range(self._next - count, self._next))


_COUNTED = {"$project": {"n": {"$size": "$imgs"}}}


class Workers:
    """One worker, whose log is read as it grows."""

    def __init__(self, servers: Servers, settings: Settings, children: int):
        self._app = Celery("shelver", set_as_current=False)
        self._app.conf.update(celery_options(settings))
        self._worker = servers.start(settings, "shelver-worker", "run", "--concurrency", str(children))
        self._worker.wait_for(r"@\S+ ready")
        self._sent: dict[str, Page] = {}
        self._at: dict[str, float] = {}

    def send(self, ids: tuple[int, ...]) -> None:
        """Put a page on the queue."""
        page, number = Page(ids), str(len(self._sent))
        self._sent[number], self._at[number] = page, page.queued_at
        self._app.send_task(TASK, (page.to_wire(),), queue=page.queue.value, task_id=number)

    def wait(self) -> list[Done]:
        """Return all pages since the start, in order of sending, when each is done."""
        while len(found := dict(self._done())) < len(self._sent):
            assert self._worker.is_running, self._worker.log.read_text()
            time.sleep(LOOK_SECONDS)
        return [found[number] for number in self._sent]

    def stop(self) -> None:
        """End it."""
        self._worker.process.terminate()
        self._worker.process.wait()
        self._app.close()

    def _done(self) -> Iterator[tuple[str, Done]]:
        for line in self._worker.log.read_text().splitlines():
            if '"page done"' not in line:
                continue
            said = json.loads(line)
            at = datetime.fromisoformat(said["timestamp"]).timestamp()
            number = said["page"]
            yield (
                number,
                Done(at, at - self._at[number], len(self._sent[number].ids), said["pictures"], said["seconds"]),
            )


def publish(folder: Path, categories: Path, settings: Settings, backbone: str) -> Path:
    """Publish an untrained network as version 1, `tiny` or one of trainer.backbones; return the folder to serve."""
    if backbone == "tiny":
        from tests.benchmarks.producer.tiny import publish_tiny

        return publish_tiny(folder, categories, settings)
    from trainer.config import Config, Phase
    from trainer.graph import Classifier
    from trainer.publishing.publish import publish as write
    from trainer.run import CATEGORIES, Run
    from trainer.training import network
    from worker.contract.taxonomy import Taxonomy

    (folder / "run").mkdir(parents=True)
    (folder / "run" / CATEGORIES).write_bytes(categories.read_bytes())
    classes = [category.id for category in Taxonomy.from_csv(categories).level(3)]
    run = Run(
        folder=folder / "run",
        config_name=backbone,
        config={},
        data="none",
        plan="none",
        backbone=backbone,
        seed=1,
        classes=classes,
        picture_side=SIDE,
        counts={"products": 0, "pictures": 0},
    )
    config = Config(backbone=backbone, weights="none", picture_side=SIDE, phases=(Phase(epochs=1, learning_rate=1),))
    served = network.build(config, len(classes)).served
    classifier = Classifier(served, run.classes, run.taxonomy, SIDE)
    write(run, classifier, folder / "models", settings.model_name, 1, settings.database_url)
    return folder / "models"


@dataclass(frozen=True)
class Measured:
    """Pages of every size on one child."""

    settings: Settings
    catalog: Catalog
    #: each sent when the one before was done
    alone: list[Done]
    #: those that waited for the one before, and the seconds from its end to theirs
    queued: list[tuple[Done, float]]


def measure(servers: Servers, backbone: str, rounds: int, spare: int) -> Measured:
    """Send pages of every size, alone and many at once; the catalog has listings to spare."""
    settings = servers.settings(backbone, log_format="json", state_folder=str(servers.folder / f"state-{backbone}"))
    catalog = Catalog(servers, settings, (2 * rounds + 2) * sum(SIZES) + spare)
    folder = servers.folder / f"model-{backbone}"
    folder.mkdir()
    served = model_server(servers.processes, publish(folder, catalog.categories, settings, backbone))
    settings = settings.model_copy(update={"serving_address": served.url})
    workers = Workers(servers, settings, children=1)
    for size in SIZES:
        workers.send(catalog.take(size))
    warmed = len(workers.wait())  # everything is loaded, and compiled for every size
    for turn in range(rounds):
        for size in SIZES[:: -1 if turn % 2 else 1]:
            workers.send(catalog.take(size))
            workers.wait()
    alone = workers.wait()[warmed:]
    for size in SIZES:
        for _ in range(rounds + 1):
            workers.send(catalog.take(size))
    waited = workers.wait()[warmed + len(alone) :]
    workers.stop()
    pairs = [(page, page.at - before.at) for before, page in pairwise(waited) if before.products == page.products]
    return Measured(settings, catalog, alone, pairs)


def times(tiny: Measured, real: Measured) -> Times:
    """Return the lines; a model that answers in a millisecond tells what a call takes besides the model's own time."""
    queued = [*tiny.queued, *real.queued]
    before = fit(_medians((page.products, gap - page.own()) for page, gap in queued))
    stacking = fit((page.pictures, page.stages["stack"]) for page, _ in queued)
    call = fit((page.pictures, page.stages["predict"]) for page, _ in tiny.queued)
    whole = fit((page.pictures, page.stages["predict"]) for page, _ in real.queued)
    return Times(
        before=before,
        pictures=Line(stacking.fixed + call.fixed, stacking.each + call.each),
        model=Line(max(0.0, whole.fixed - call.fixed), max(0.0, whole.each - call.each)),
        after=fit(_medians((page.products, page.stages["save"]) for page, _ in queued)),
        wake=max(0.0, float(np.median([page.lag - page.own() - before.at(page.products) for page in tiny.alone]))),
    )


def _medians(samples: Iterable[tuple[int, float]]) -> list[tuple[float, float]]:
    """Return the median of each size: a page that met a checkpoint or a sweep says nothing of its size."""
    by_size: dict[int, list[float]] = {}
    for size, seconds in samples:
        by_size.setdefault(size, []).append(seconds)
    return [(size, float(np.median(each))) for size, each in by_size.items()]


def load(
    servers: Servers, settings: Settings, catalog: Catalog, plan: Sequence[tuple[float, int]], children: int
) -> tuple[list[Arrival], list[Done]]:
    """Send pages at the planned seconds, of the planned sizes; return them as they came, and what became of them."""
    workers = Workers(servers, settings, children)
    for _ in range(2 * children):  # each child builds its clients at its first page
        workers.send(catalog.take(8))
    warmed = len(workers.wait())
    arrivals, began = [], time.time()
    for at, size in plan:
        time.sleep(max(0.0, began + at - time.time()))
        ids = catalog.take(size)
        arrivals.append(Arrival(time.time() - began, size, sum(catalog.pictures[each] for each in ids)))
        workers.send(ids)
    done = workers.wait()[warmed:]
    workers.stop()
    return arrivals, done


def bytes_of_a_product(settings: Settings) -> float:
    """Return what a prediction takes in PostgreSQL, its candidates and all indexes with it."""
    tables = ("predictions", "candidates")
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        size = sum(connection.scalar(text("SELECT pg_total_relation_size(:name)"), {"name": name}) for name in tables)
        return float(size / connection.scalar(text("SELECT count(*) FROM predictions")))

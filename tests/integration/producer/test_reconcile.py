"""What has neither prediction nor reject is found and enqueued, on a real MongoDB, Redis, SQLite and PostgreSQL."""

import json
import os
import random
import subprocess
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice

import pytest
import redis
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection
from sqlalchemy import event, text

from producer.filling import plan as planning
from producer.filling import predicted, reconcile
from producer.filling.backfill import each_id
from producer.filling.backlog import Backlog
from producer.filling.predicted import NoModel
from producer.filling.reconcile import Reconciler, Tally
from producer.selection import Selection
from tests.conftest import command
from tests.integration import queues
from tests.integration.conftest import register
from trainer.run import Run
from worker import schema
from worker.catalog import Catalog
from worker.contract.database import Database
from worker.contract.errors import Unavailable
from worker.contract.messages import Page, Queue
from worker.contract.product import Product, ProductId
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import Settings
from worker.outcome import Outcome, Prediction, Side
from worker.store import Store

Listings = Collection[dict[str, object]]

#: ids as a seller's system may write them; the texts are longer than a message lets an id be
STRANGE = [
    "a name",
    "é" * 300,
    "é" * 200 + "another",
    ObjectId(),
    4.5,
    Decimal128("6.25"),
    float("nan"),
    True,
    {"shop": 7},
    b"\xff",
]


@pytest.fixture
def settings(mongo_url: str, redis_url: str, database_url: str, run: Run) -> Settings:
    """A catalog and a store of its own, with models 1 and 2 registered, and the shared Redis emptied."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    settings = Settings(
        mongo_url=mongo_url,
        mongo_database=f"test_{uuid.uuid4().hex}",
        redis_url=redis_url,
        database_url=database_url,
        page_size=4,
    )
    schema.migrate(settings)
    for version in (1, 2):
        register(run, settings, version)
    return settings


@pytest.fixture
def listings(settings: Settings) -> Iterator[Listings]:
    with MongoClient(settings.mongo_url) as client:
        yield client[settings.mongo_database][settings.mongo_collection]
        client.drop_database(settings.mongo_database)


@pytest.fixture(params=[1, 3])
def fetch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that end everywhere."""
    monkeypatch.setattr(predicted, "FETCH", request.param)
    monkeypatch.setattr(reconcile, "STRANGE_AT_A_TIME", request.param)


def store(
    settings: Settings,
    run: Run,
    predicted: Iterable[int] = (),
    version: int = 2,
    rejected: Iterable[Reject] = (),
    side: Side = Side.STABLE,
) -> None:
    """Write what workers would have written."""
    top = {level: (run.taxonomy.ancestor(1000000001, level), 0.9) for level in (1, 2)}
    made = [
        Prediction(Product(each, (b"x",)), version, [(1000000001, 0.7)], top[2], top[1], 1) for each in set(predicted)
    ]
    with closing(Store(settings)) as target:
        target.save(Outcome(Page(()), predictions=made, rejects=list(rejected), side=side))


def compare(settings: Settings, version: int | None = None, **bounds: int | None) -> tuple[list[ProductId], Tally]:
    """The missing ids in the order in which they are found, and the counts."""
    with closing(Reconciler(settings)) as reconciler:
        plan = planning.of_catalog(settings, Selection(**bounds), reconciler.database)
        ids = each_id(plan.source(None), threading.Event())
        missing = list(reconciler.missing(ids, version))
    return missing, reconciler.tally


def queued(settings: Settings) -> list[Page]:
    """Every page on the backfill queue, oldest first; nothing is on the other."""
    assert queues.queued(settings, Queue.NEW) == []
    return queues.queued(settings, Queue.BACKFILL)


def reject(identity: int, reason: Reason = Reason.NO_PICTURES) -> Reject:
    return Reject(identity, reason, "as told")


@pytest.mark.usefixtures("fetch")
def test_what_is_missing_is_what_set_arithmetic_says(settings: Settings, listings: Listings, run: Run) -> None:
    """Ids from one end of 64 bits to the other, tables with more and with fewer of them than the catalog."""
    chance = random.Random(5)
    edges = [-(2**63), -(2**63) + 1, -1, 0, 1, 2**31, 2**53, 2**53 + 1, 2**63 - 2, 2**63 - 1]
    ids = sorted({*edges, *(chance.randrange(-(2**63), 2**63) for _ in range(20)), *range(50, 70)})
    listed = set(chance.sample(ids, 30))
    predicted, rejected = set(chance.sample(ids, 20)), set(chance.sample(ids, 20))
    before = set(chance.sample(ids, 20))
    listings.insert_many([{"_id": Int64(each)} for each in listed])
    store(settings, run, before, 1)
    store(settings, run, predicted, 2)
    store(settings, run, rejected=map(reject, rejected))
    for version, counted in ((2, predicted), (None, predicted | before)):
        missing, tally = compare(settings, version)
        assert missing == sorted(listed - counted - rejected)
        assert tally == Tally(30, len(listed & counted), len(listed & (rejected - counted)), len(missing))


@pytest.mark.usefixtures("fetch")
def test_an_empty_store_and_an_empty_catalog(settings: Settings, listings: Listings, run: Run) -> None:
    """Before the first prediction everything is missing; with nothing listed nothing is."""
    assert compare(settings) == ([], Tally())
    listings.insert_many([{"_id": each} for each in range(7)])
    assert compare(settings) == (list(range(7)), Tally(7, missing=7))


@pytest.mark.usefixtures("fetch")
def test_a_version_on_trial_makes_nothing_missing(settings: Settings, listings: Listings, run: Run) -> None:
    """What an older version predicted is there; what a shadow alone predicted, or another model, is not."""
    register(run, settings.model_copy(update={"model_name": "other"}), 1)
    listings.insert_many([{"_id": each} for each in range(7)])
    store(settings, run, range(5), version=1)
    store(settings, run, [0, 5], version=2, side=Side.SHADOW)
    store(settings.model_copy(update={"model_name": "other"}), run, [6], version=1)
    assert compare(settings) == ([5, 6], Tally(7, predicted=5, missing=2))
    assert compare(settings, version=1) == ([5, 6], Tally(7, predicted=5, missing=2))
    assert compare(settings, version=2) == ([1, 2, 3, 4, 6], Tally(7, predicted=2, missing=5))


@pytest.mark.usefixtures("fetch")
def test_ids_that_are_no_integers_are_settled_by_the_rejects_of_workers(
    settings: Settings, listings: Listings, run: Run
) -> None:
    """Whatever an _id is: once a worker has stored its reject, it is missing no more, long texts included."""
    listings.insert_many([{"_id": each} for each in [*STRANGE, *map(Int64, range(3, 9))]])
    store(settings, run, range(3, 9))
    missing, tally = compare(settings)
    assert len(missing) == tally.missing == len(STRANGE)
    assert all(isinstance(each, str) for each in missing)
    arrived = Page.from_wire(json.loads(json.dumps(Page(tuple(missing[1:])).to_wire())))
    with closing(Catalog(settings)) as catalog:
        products, made = catalog.load(arrived.ids)
    assert products == []
    store(settings, run, rejected=made)
    assert compare(settings) == (missing[:1], Tally(len(STRANGE) + 6, 6, len(STRANGE) - 1, 1))


def test_a_reject_for_not_being_listed_is_disproved_by_the_listing(
    settings: Settings, listings: Listings, run: Run
) -> None:
    """A page that overtook its listing leaves not_found behind; every other reject stands."""
    listings.insert_many([{"_id": each} for each, _ in enumerate(Reason)])
    store(settings, run, rejected=[reject(each, reason) for each, reason in enumerate(Reason)])
    assert compare(settings)[0] == [list(Reason).index(Reason.NOT_FOUND)]


def test_a_product_both_predicted_and_rejected_counts_once(settings: Settings, listings: Listings, run: Run) -> None:
    """A reject that came after the prediction, for new pictures: shelver-worker show calls it predicted too."""
    listings.insert_one({"_id": 1})
    store(settings, run, [1])
    store(settings, run, rejected=[reject(1)])
    assert compare(settings) == ([], Tally(1, predicted=1))


@pytest.mark.usefixtures("fetch")
def test_a_range_is_inclusive_and_looks_at_nothing_else(settings: Settings, listings: Listings, run: Run) -> None:
    """--from and --to bound the catalog's side; the store's follows."""
    listings.insert_many([{"_id": each} for each in [*range(20), "text"]])
    store(settings, run, [1, 5, 7, 12, 19])
    assert compare(settings, first=5, last=8) == ([6, 8], Tally(4, predicted=2, missing=2))
    assert compare(settings, first=18) == ([18], Tally(2, predicted=1, missing=1))


def test_no_model_is_one_sentence(settings: Settings) -> None:
    """It names the model, the store and the ways out."""
    unknown = settings.model_copy(update={"model_name": "absent"})
    with closing(Reconciler(unknown)) as reconciler, pytest.raises(NoModel, match="no version of model absent is reg"):
        list(reconciler.missing([]))
    with closing(Reconciler(settings)) as reconciler, pytest.raises(NoModel, match="no version 3.*another version"):
        list(reconciler.missing([], 3))


def test_missing_ids_travel_in_pages_as_they_are_found(settings: Settings, listings: Listings, run: Run) -> None:
    """A page is on the queue before the rest of the catalog is read: nothing piles up in memory."""
    listings.insert_many([{"_id": each} for each in range(30)])
    with closing(Reconciler(settings)) as reconciler, closing(Backlog(settings, threading.Event())) as backlog:
        plan = planning.of_catalog(settings, Selection(), reconciler.database)
        missing = reconciler.missing(each_id(plan.source(None), threading.Event()))
        assert backlog.send(tuple(islice(missing, settings.page_size)))
        assert reconciler.tally.listings == settings.page_size
        assert [page.ids for page in queued(settings)] == [(0, 1, 2, 3)]


def said(settings: Settings, *options: str) -> "subprocess.CompletedProcess[str]":
    """The installed command as cron runs it."""
    return subprocess.run(
        [*command("shelver-producer"), "reconcile", *options],
        env={**os.environ, **settings.environment()},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_enqueues_counts_and_tells(settings: Settings, listings: Listings, run: Run) -> None:
    """Once with --dry-run, once in earnest, and once when all is settled: exit code 0 and a summary each time."""
    listings.insert_many([*({"_id": Int64(each)} for each in range(10)), {"_id": "a name"}])
    store(settings, run, [0, 1], rejected=[reject(2)])
    counted = said(settings, "--dry-run", "--json")
    assert (counted.returncode, counted.stderr) == (0, "")
    facts = json.loads(counted.stdout)
    assert facts.pop("seconds") >= 0
    assert facts == {
        "model": "shelver",
        "version": None,
        "listings": 11,
        "predicted": 2,
        "rejected": 1,
        "missing": 8,
        "enqueued": 0,
        "dry_run": True,
    }
    assert queued(settings) == []
    done = said(settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("11 listings against shelver: 2 predicted, 1 rejected, 8 missing; 8 enqueued on backfill\n")
    assert [page.ids for page in queued(settings)] == [(3, 4, 5, 6), (7, 8, 9, "str('a name')")]
    facts = json.loads(said(settings, "--json", "--model-version", "1", "--from", "8").stdout)
    assert (facts["version"], facts["listings"], facts["missing"], facts["enqueued"]) == (1, 2, 2, 2)
    with closing(Catalog(settings)) as catalog:
        store(settings, run, range(10), rejected=catalog.load(["str('a name')"])[1])
    settled = json.loads(said(settings, "--json").stdout)
    assert (settled["predicted"], settled["rejected"], settled["missing"], settled["enqueued"]) == (10, 1, 0, 0)


@pytest.mark.parametrize("version", [None, 1])
def test_sqlite_reads_along_the_key(sqlite_settings: Settings, run: Run, version: int | None) -> None:
    """No block is sorted from all rows of the model: the time grows with the catalog, not with its square."""
    register(run, sqlite_settings)
    statements: list[tuple[str, object]] = []
    with closing(Reconciler(sqlite_settings)) as reconciler:
        engine = reconciler.database.engine
        event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2:4]))
        assert list(reconciler.missing([1], version)) == [1]
        with engine.connect() as connection:
            blocks = [each for each in statements if "LIMIT" in each[0] and "FROM models" not in each[0]]
            assert len(blocks) == 2  # of predictions and of rejects
            for statement, parameters in blocks:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                assert any(each in str(plan) for each in ("autoindex", "PRIMARY KEY", "latest_product_id")), plan
                assert "TEMP B-TREE" not in str(plan)


AWAY = {
    "redis": {"redis_url": "redis://:secret@127.0.0.1:9/0"},
    "mongo": {"mongo_url": "mongodb://user:secret@127.0.0.1:9/"},
    "database": {"database_url": "postgresql+psycopg://user:secret@127.0.0.1:9/shelver"},
}


@pytest.mark.parametrize("server", AWAY)
def test_a_server_that_is_away_is_one_sentence_and_exit_code_1(
    server: str, settings: Settings, listings: Listings
) -> None:
    """Nothing on the standard output, so that monitoring takes no half summary for a whole one; no secret shown."""
    listings.insert_one({"_id": 1})
    done = said(settings.model_copy(update={**AWAY[server], "connect_timeout_seconds": 0.5}), "--json")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert f"SHELVER_{server.upper()}_URL" in line
    assert "secret" not in line


def test_a_store_that_fails_on_the_way_is_told(settings: Settings, listings: Listings) -> None:
    """A table that does not answer is an error: nothing is taken for missing on that account."""
    listings.insert_one({"_id": 1})
    with closing(Reconciler(settings)) as reconciler:
        with closing(Database(settings.database_url)) as database, database.begin() as connection:
            connection.execute(text("ALTER TABLE rejects RENAME TO elsewhere"))
        with pytest.raises(Unavailable, match="SHELVER_DATABASE_URL.*rejects"):
            list(reconciler.missing([1]))

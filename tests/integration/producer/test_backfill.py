"""What is in the catalog already is enqueued: what was asked for, all of it, politely, and from where it was."""

import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import redis
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from sqlalchemy import insert

from deploy.local.processes import Processes
from producer.cursors import Cursor
from producer.filling import backfill
from producer.filling import plan as planning
from producer.filling.backfill import Backfill, Done, each_id
from producer.filling.backlog import Backlog
from producer.filling.predicted import NoModel
from producer.listings import ListingsError
from producer.selection import Selection
from tests.conftest import command
from tests.integration.conftest import register
from tests.integration.producer.conftest import Listings
from tests.integration.producer.positions import position
from tests.integration.producer.stored import store_prediction, store_tree
from tests.integration.queues import ids, queued, wait_for
from trainer.run import Run
from worker.contract.database import Database
from worker.contract.messages import Page, Queue
from worker.contract.product import Product
from worker.contract.settings import Settings
from worker.contract.tables import categories
from worker.outcome import Outcome, Prediction
from worker.store import Store

Said = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def said(settings: Settings) -> Said:
    """Run the installed command."""

    def run(*options: str, stdin: str | None = None, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*command("shelver-producer"), "backfill", *options],
            env={**os.environ, **settings.environment(), **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def chosen(settings: Settings, **conditions: object) -> list[object]:
    """The ids that a backfill with these conditions would enqueue, in order."""
    with closing(Database(settings.database_url)) as database:
        plan = planning.of_catalog(settings, Selection(**conditions), database)
        wanted = plan.wanted()
        return [each for each in each_id(plan.source(None), threading.Event()) if wanted(each)]


def test_ids_of_every_kind_in_order(settings: Settings, listings: Listings, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks that end everywhere; a range is of numbers, without it every kind of _id comes, by its text."""
    strange = [
        ObjectId(),
        "a name",
        *("é" * 200 + end for end in ("", "a", "b", "c")),  # alike in what their texts keep
        Decimal128("7.5"),
        4.5,
        True,
        {"shop": 7},
        b"\xff",
        float("nan"),
        datetime.now(UTC),
    ]
    numbers = [-(2**63), -1, 0, 1, 2**53, 2**63 - 1]
    listings.insert_many([{"_id": each} for each in [*strange, *map(Int64, numbers)]])
    whole = chosen(settings)
    assert [each for each in whole if isinstance(each, int)] == numbers
    assert len(whole) == len(strange) + len(numbers)
    for fetch in (2, 3, 7):
        monkeypatch.setattr(backfill, "FETCH", fetch)
        assert chosen(settings) == whole
        assert chosen(settings, first=-1, last=2**53) == [-1, 0, 1, "float('4.5')", "Decimal128('7.5')", 2**53]


def test_a_product_id_of_another_field(settings: Settings, listings: Listings, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its order; listings without one are left out; one that many share is told, and so is a field without index."""
    monkeypatch.setattr(backfill, "FETCH", 3)
    other = settings.model_copy(update={"mongo_id_field": "offer.sku"})
    listings.insert_many([{"offer": {"sku": Int64(each)}} for each in (5, 3, 9, 1)])
    listings.insert_many([{"offer": {"sku": None}}, {"offer": {}}, {}])
    with pytest.raises(ListingsError, match=r"no index by offer.sku .SHELVER_MONGO_ID_FIELD.*createIndex"):
        chosen(other)
    listings.create_index({"offer.sku": 1})
    assert chosen(other) == [1, 3, 5, 9]
    assert chosen(other, first=3, last=5) == [3, 5]
    listings.insert_many([{"offer": {"sku": 5}} for _ in range(9)])
    with pytest.raises(ListingsError, match="3 listings of .* have offer.sku 5: ids must be unique"):
        chosen(other)


def test_ids_in_an_array(settings: Settings, listings: Listings, caplog: pytest.LogCaptureFixture) -> None:
    """A listing with several ids, or with one in a list of offers, is left out and told; all others come."""
    other = settings.model_copy(update={"mongo_id_field": "offer.sku"})
    listings.create_index({"offer.sku": 1})
    listings.insert_many([{"offer": {"sku": each}} for each in (1, 3, 4)])
    assert chosen(other) == [1, 3, 4]
    assert caplog.text == ""
    listings.insert_many([{"offer": {"sku": [2, 9]}}, {"offer": [{"sku": 5}]}])
    assert chosen(other) == [1, 3, 4]
    assert "with several offer.sku, in an array, are left out" in caplog.text


def test_by_time(settings: Settings, listings: Listings) -> None:
    """From one moment to before another, in UTC; by dates, or by the time in an ObjectId."""
    start = datetime(2026, 11, 1, tzinfo=UTC)
    moments = [start + timedelta(hours=each) for each in range(10)]
    by_date = settings.model_copy(update={"mongo_order_field": "listed_at"})
    by_id = settings.model_copy(update={"mongo_order_field": "key"})
    listings.insert_many(
        [{"_id": n, "listed_at": each, "key": ObjectId.from_datetime(each)} for n, each in enumerate(moments)]
    )
    with pytest.raises(ListingsError, match="no index by listed_at"):
        chosen(by_date, since=start)
    listings.create_index({"listed_at": 1})
    listings.create_index({"key": 1})
    for each in (by_date, by_id):
        assert chosen(each, since=moments[3]) == [3, 4, 5, 6, 7, 8, 9]
        assert chosen(each, since=moments[3], until=moments[5]) == [3, 4]
        assert chosen(each, until=moments[5].replace(tzinfo=None), first=2) == [2, 3, 4]
        assert chosen(each, since=datetime.fromisoformat("0001-01-01T00:00+14:00")) == list(range(10))
    with pytest.raises(ListingsError, match="has no date in _id.*SHELVER_MONGO_ORDER_FIELD"):
        chosen(settings, since=start)
    with pytest.raises(ListingsError, match="the first is later"):
        chosen(by_date, since=moments[5], until=moments[3])


def test_by_filter(settings: Settings, listings: Listings) -> None:
    """MongoDB's own, in JSON, together with the setting that says which listings count."""
    listings.insert_many([{"_id": each, "brand": "ab"[each % 2], "live": each > 4} for each in range(10)])
    assert chosen(settings, where='{"brand": "a"}') == [0, 2, 4, 6, 8]
    live = settings.model_copy(update={"mongo_filter": '{"live": true}'})
    assert chosen(live) == [5, 6, 7, 8, 9]
    assert chosen(live, where='{"brand": "a"}', last=7) == [6]
    assert chosen(settings, where='{"$where": "this.brand == \\"b\\""}') == [1, 3, 5, 7, 9]
    for wrong, told in (
        ('{"a": {"$nonsense": 1}}', "nonsense"),
        ("brand=a", "--filter must be a MongoDB filter in JSON"),
    ):
        with pytest.raises(ListingsError, match=told):
            chosen(settings, where=wrong)


def test_by_category(settings: Settings, listings: Listings) -> None:
    """The seller's shelf, or any above it; one that is not in the tree is told."""
    tree = [(1, 1, None), (11, 2, 1), (12, 2, 1), (111, 3, 11), (112, 3, 11), (121, 3, 12), (2, 1, None)]
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        rows = [{"id": each, "level": level, "parent_id": parent, "name": "x"} for each, level, parent in tree]
        connection.execute(insert(categories), rows)
    listings.insert_many([{"_id": each, "category_id": Int64(each)} for each in (111, 112, 121, 999)])
    assert chosen(settings, categories=(112,)) == [112]
    assert chosen(settings, categories=(11,)) == [111, 112]
    assert chosen(settings, categories=(1,)) == [111, 112, 121]
    assert chosen(settings, categories=(12, 112)) == [112, 121]
    assert chosen(settings, categories=(2,)) == []
    with pytest.raises(ListingsError, match="category 5 is not in the store's tree"):
        chosen(settings, categories=(1, 5))


def test_by_what_a_model_said(
    settings: Settings, listings: Listings, run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not predicted yet by a version, or with too low a score; the newest version unless another is named."""
    from worker import schema

    settings = settings.model_copy(update={"database_url": database_url})
    schema.migrate(settings)
    for version in (1, 2):
        register(run, settings, version)
    chance = random.Random(3)
    everything = list(range(60))
    scores = {version: {each: chance.random() for each in chance.sample(everything, 30)} for version in (1, 2)}
    top = {level: (run.taxonomy.ancestor(1000000001, level), 0.9) for level in (1, 2)}
    with closing(Store(settings)) as store:
        for version, found in scores.items():
            made = [
                Prediction(Product(each, (b"x",)), version, [(1000000001, score)], top[2], top[1], 1)
                for each, score in found.items()
            ]
            store.save(Outcome(Page(()), made, []))
    listings.insert_many([{"_id": each} for each in [*everything, "a name"]])
    monkeypatch.setattr("producer.filling.predicted.FETCH", 4)
    strange = "str('a name')"
    for named, version in ((None, 2), (1, 1), (2, 2)):
        expected = [each for each in everything if each not in scores[version]]
        assert chosen(settings, without_prediction=True, model_version=named) == [*expected, strange]
        low = sorted(each for each, score in scores[version].items() if score < 0.5)
        assert chosen(settings, below_score=0.5, model_version=named) == low
    assert chosen(settings, below_score=0.5, last=20) == [each for each in low if each <= 20]


def test_by_whose_prediction_is_the_latest(
    settings: Settings, listings: Listings, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an old version predicted last, whichever others did before; asked for from anywhere on, none twice."""
    from worker import schema

    settings = settings.model_copy(update={"database_url": database_url})
    schema.migrate(settings)
    chance = random.Random(4)
    latest = {each: chance.choice([1, 2, 3, None]) for each in range(200)}
    with closing(Database(settings.database_url)) as database:
        store_tree(database, versions=4)
        for identity, last in latest.items():
            for version in {chance.choice([1, 2, 3]), last} - {last} if last else ():
                store_prediction(database, identity, version)
            if last:
                store_prediction(database, identity, last)
    listings.insert_many([{"_id": each} for each in [*range(190), "a name"]])  # the others are listed no more
    monkeypatch.setattr("producer.filling.predicted.FETCH", 7)
    monkeypatch.setattr(backfill, "FETCH", 10)
    by = {version: [each for each in range(190) if latest[each] == version] for version in (1, 2, 3, 4)}
    for version, expected in by.items():
        assert chosen(settings, predicted_by=version) == expected
    assert chosen(settings, predicted_by=1, first=50, last=120) == [each for each in by[1] if 50 <= each <= 120]
    with pytest.raises(NoModel, match="no version 9 of model shelver is registered.*name another version"):
        chosen(settings, predicted_by=9)
    for stop_after in (80, 1000):
        stopped = threading.Event()
        with closing(Database(settings.database_url)) as database, closing(Backlog(settings, stopped)) as backlog:
            plan = planning.of_catalog(settings, Selection(predicted_by=1), database)
            with closing(Cursor(settings, plan.name)) as cursor:
                work = Backfill(cursor, backlog, settings.page_size, stopped)
                assert work.begin()
                turn = partial(_stop, work, stopped, stop_after)
                assert work.run(plan.source, plan.wanted, turn) == (stop_after == 1000)
    assert ids(queued(settings, Queue.BACKFILL)) == by[1]


def _stop(work: Backfill, stopped: threading.Event, after: int, _: int) -> None:
    if after < work.done.scanned:
        stopped.set()


def test_by_whose_prediction_is_the_latest_begins_at_the_first(
    said: Said, settings: Settings, listings: Listings
) -> None:
    """Whatever was done: after a promotion, a rollback and the next promotion its place says nothing any more."""
    numbers = list(range(1, 21))
    listings.insert_many([{"_id": each} for each in numbers])
    with closing(Database(settings.database_url)) as database:
        store_tree(database)
        for identity in numbers:
            store_prediction(database, identity)
        plan = planning.of_catalog(settings, Selection(predicted_by=1), database)
        with closing(Cursor(settings, plan.name)) as cursor:
            assert cursor.take()
            cursor.write(asdict(Done(after=15, scanned=15, enqueued=15)))
            cursor.release()
    assert said("--predicted-by", "1").stdout == "20 products enqueued on backfill\n"
    assert ids(queued(settings, Queue.BACKFILL)) == numbers


def test_one_word_about_predictions_at_a_time(said: Said, settings: Settings) -> None:
    """They exclude each other; a dry run counts what an old version predicted; a version that is none is told."""
    refused = said("--predicted-by", "1", "--below-score", "0.4", COLUMNS="300")
    assert "--without-prediction, --below-score and --predicted-by: give one of them" in refused.stderr
    with closing(Database(settings.database_url)) as database:
        store_tree(database)
    assert said("--predicted-by", "1", "--dry-run").stdout == "0 products would be enqueued\n"
    assert "no version 7 of model shelver is registered" in said("--predicted-by", "7").stderr


def test_a_file_of_ids(settings: Settings, said: Said, tmp_path: Path) -> None:
    """One a line, in its own order, from a file or from the standard input; a bad line is told before any is sent."""
    file = tmp_path / "ids.txt"
    file.write_text("12\n-5\n\n 7 \r\n9223372036854775807\n12")
    done = said("--ids-file", str(file))
    assert (done.returncode, done.stdout) == (0, "5 products enqueued on backfill\n")
    assert ids(queued(settings, Queue.BACKFILL)) == [12, -5, 7, 2**63 - 1, 12]
    assert said("--ids-file", "-", "--dry-run", stdin="1\n2\n").stdout == "2 products would be enqueued\n"
    for line, shown in (("1.5", "1.5"), ("9223372036854775808", "9223372036854775808"), ("x" * 10**6, "x" * 60)):
        file.write_text(f"1\n2\n{line}\n4\n")
        refused = said("--ids-file", str(file))
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"line 3 of {file} is '{shown}', no product id" in refused.stderr
    file.write_bytes(b"12" + b" " * 98 + b"34\n")
    assert "line 1 of" in said("--ids-file", str(file)).stderr
    os.mkfifo(pipe := tmp_path / "pipe")
    writer = threading.Thread(target=lambda: pipe.write_text("8\n9\n"))
    writer.start()
    assert said("--ids-file", str(pipe)).stdout == "2 products enqueued on backfill\n"
    writer.join()
    assert "leave the other conditions out" in " ".join(
        said("--ids-file", str(file), "--from", "3", COLUMNS="300").stderr.split()
    )
    assert ids(queued(settings, Queue.BACKFILL))[5:] == [8, 9]
    assert "cannot be read: No such file" in said("--ids-file", str(tmp_path / "none")).stderr


def test_a_dry_run_counts(settings: Settings, listings: Listings, said: Said) -> None:
    """Whatever the conditions, and enqueues nothing."""
    listings.insert_many([{"_id": each, "odd": each % 2} for each in range(10)])
    assert said("--dry-run").stdout == "10 products would be enqueued\n"
    assert said("--dry-run", "--filter", '{"odd": 1}', "--from", "3").stdout == "4 products would be enqueued\n"
    assert queued(settings, Queue.BACKFILL) == []


def test_a_killed_backfill_goes_on(settings: Settings, listings: Listings, said: Said, tmp_path: Path) -> None:
    """Killed midway and run again it enqueues the rest, and at most a second's worth of it twice."""
    listings.insert_many([{"_id": each} for each in range(3000)])
    running = Processes(tmp_path)
    environment = {**os.environ, **settings.environment()}
    started = running.start("backfill", [*command("shelver-producer"), "backfill", "--rate", "150"], environment)
    wait_for(lambda: (position(settings) or {}).get("scanned", 0) > 200, 30)
    second = said()
    assert second.returncode == 1
    assert "the same backfill is being done by" in second.stderr
    started.process.kill()
    started.process.wait()
    before = len(ids(queued(settings, Queue.BACKFILL)))
    done = said()
    assert "going on after" in done.stderr
    assert done.returncode == 0, done.stderr
    found = ids(queued(settings, Queue.BACKFILL))
    assert sorted(set(found)) == list(range(3000))
    assert 200 < before < 3000
    assert len(found) < 3000 + 2 * 400
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushdb()
    again = said()
    assert again.stdout == "3,000 products enqueued on backfill\n"  # it was finished: this one begins anew
    running.stop()


def test_a_stopped_backfill_says_how_to_go_on(
    settings: Settings, listings: Listings, said: Said, tmp_path: Path
) -> None:
    """SIGTERM ends it after its page, with exit code 130; not one id is enqueued twice; --restart begins anew."""
    listings.insert_many([{"_id": each} for each in range(1000)])
    running = Processes(tmp_path)
    environment = {**os.environ, **settings.environment()}
    started = running.start("backfill", [*command("shelver-producer"), "backfill", "--rate", "200"], environment)
    wait_for(lambda: len(ids(queued(settings, Queue.BACKFILL))) > 20, 30)
    started.process.send_signal(signal.SIGTERM)
    assert started.process.wait(20) == 130
    log = started.log.read_text()
    after = int(
        re.search(r"stopped: [\d,]+ products enqueued on backfill; the same command goes on after (\d+)", log)[1]
    )
    assert ids(queued(settings, Queue.BACKFILL)) == list(range(after + 1))
    said()
    assert ids(queued(settings, Queue.BACKFILL)) == list(range(1000))
    running.stop()


def test_the_queue_is_never_deeper_than_it_may_be(settings: Settings, listings: Listings, said: Said) -> None:
    """The backfill waits for room, says so, and goes on; reconcile's way to the queue is the same."""
    listings.insert_many([{"_id": each} for each in range(200)])
    deepest, taken, done = 0, [], threading.Event()

    def consume() -> None:
        nonlocal deepest
        with redis.Redis.from_url(settings.redis_url) as client:
            while not done.is_set() or client.llen("backfill"):
                deepest = max(deepest, client.llen("backfill"))
                if client.llen("backfill") >= 5 or done.is_set():
                    time.sleep(0.02)
                    taken.append(client.rpop("backfill"))

    consumer = threading.Thread(target=consume)
    consumer.start()
    told = said("--depth", "5")
    done.set()
    consumer.join()
    assert told.returncode == 0, told.stderr
    assert "waiting: 5 pages are on the queue backfill, as many as may be" in told.stderr
    assert "going on" in told.stderr
    assert deepest == 5
    assert len(taken) == 50


def test_a_rate_is_kept(settings: Settings, redis_url: str) -> None:
    """Products a second, whatever the pages: no faster than asked for."""
    with closing(Backlog(settings, threading.Event(), rate=200)) as backlog:
        began = time.monotonic()
        for _ in range(20):
            assert backlog.send([1, 2, 3, 4, 5])
        assert time.monotonic() - began >= 95 / 200


def test_a_redis_that_is_away_for_a_while_is_waited_for(
    settings: Settings, listings: Listings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the work has begun it is a matter of time; before that, of a wrong setting, told at once."""
    from tests.faults.servers import redis_server

    monkeypatch.setattr(backfill, "RETRY_SECONDS", 0.3)
    running = Processes(tmp_path)
    server = redis_server(running, tmp_path / "redis")
    settings = settings.model_copy(update={"redis_url": server.url, "connect_timeout_seconds": 0.5})
    listings.insert_many([{"_id": each} for each in range(400)])
    stopped = threading.Event()
    with (
        closing(Database(settings.database_url)) as database,
        closing(Cursor(settings, "here")) as cursor,
        closing(Backlog(settings, stopped, rate=200)) as backlog,
    ):
        plan = planning.of_catalog(settings, Selection(), database)
        work = Backfill(cursor, backlog, settings.page_size, stopped)
        assert work.begin()
        worker = threading.Thread(target=work.run, args=(plan.source, plan.wanted, lambda _: None))
        worker.start()
        wait_for(lambda: work.done.scanned > 50)
        server.kill()
        time.sleep(1)
        server.start()
        worker.join(60)
        assert work.done.scanned == 400
        assert sorted(set(ids(queued(settings, Queue.BACKFILL)))) == list(range(400))
    running.stop()

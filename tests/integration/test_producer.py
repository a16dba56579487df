"""From the catalog to the queue, on a real MongoDB and a real Redis."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bson
import pytest
import redis
from bson.int64 import Int64
from bson.objectid import ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection

import producer
from deploy.local import servers
from deploy.local.processes import Processes
from producer import backfill, load
from producer.listings import open_listings
from producer.queue import Pages
from producer.watch import Watcher, WatchError
from tests.pictures import listing
from worker.contract.errors import Unavailable
from worker.contract.messages import Page, Queue
from worker.contract.settings import PREFIX, Settings

Listings = Collection[dict[str, object]]


@pytest.fixture
def settings(mongo_url: str, redis_url: str, sqlite_settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """A catalog of its own, and the shared Redis emptied."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    database = f"test_{request.node.name[:50]}"
    return sqlite_settings.model_copy(
        update={"mongo_url": mongo_url, "redis_url": redis_url, "mongo_database": database, "page_size": 4}
    )


@pytest.fixture
def listings(settings: Settings) -> Iterator[Listings]:
    with MongoClient(settings.mongo_url) as client:
        yield client[settings.mongo_database][settings.mongo_collection]
        client.drop_database(settings.mongo_database)


def queued(settings: Settings, queue: Queue) -> list[Page]:
    """Every page on a queue, oldest first, read from Redis as Celery wrote it."""
    with redis.Redis.from_url(settings.redis_url) as client:
        raw = reversed(client.lrange(queue.value, 0, -1))
    bodies = [json.loads(base64.b64decode(json.loads(each)["body"])) for each in raw]
    return [Page.from_wire(args[0]) for args, _, _ in bodies]


def ids(pages: list[Page]) -> list[object]:
    return [each for page in pages for each in page.ids]


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "dump.bson"
    path.write_bytes(b"".join(bson.encode(listing(each)) for each in range(1, 11)))
    return path


def test_load_restores_documents_as_the_bytes_they_are(settings: Settings, listings: Listings, dump: Path) -> None:
    """Int64 ids and all; repeating it changes nothing, also over documents that changed meanwhile."""
    sizes: list[int] = []
    with open_listings(settings) as target:
        first = load.load(target, dump, sizes.append)
        listings.update_one({"_id": 3}, {"$set": {"imgs": []}})
        again = load.load(target, dump, sizes.append)
    assert (first.inserted, first.already_there) == (10, 0)
    assert (again.inserted, again.already_there) == (0, 10)
    assert sum(sizes) == 2 * dump.stat().st_size
    stored = listings.find_one({"_id": 7})
    assert isinstance(stored["_id"], Int64)
    assert stored == bson.decode(bson.encode(listing(7)))
    assert listings.find_one({"_id": 3})["imgs"] == []


def test_load_uses_what_stands_before_damage(settings: Settings, listings: Listings, dump: Path) -> None:
    """The offset and the count are told; nothing sound is lost."""
    data = dump.read_bytes()
    eight = sum(len(bson.encode(listing(each))) for each in range(1, 9))
    dump.write_bytes(data[: eight + 100])
    with open_listings(settings) as target:
        loaded = load.load(target, dump, lambda _: None)
    assert loaded.inserted == listings.count_documents({}) == 8
    assert (loaded.damage.offset, loaded.damage.count) == (eight, 8)
    assert f"damaged at byte {eight:,}, after 8 sound documents" in str(loaded.damage)


def test_enqueue_makes_pages_of_each_id_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the catalog system calls: settings from the environment, one id or many."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    producer.queue._pages.cache_clear()
    assert producer.enqueue(5) == 1
    assert producer.enqueue([Int64(1), 2, 3, 2, 4, 5, 6], queue="backfill") == 6
    producer.queue._pages().close()
    producer.queue._pages.cache_clear()
    assert ids(queued(settings, Queue.NEW)) == [5]
    assert [page.ids for page in queued(settings, Queue.BACKFILL)] == [(1, 2, 3, 4), (5, 6)]
    assert abs(queued(settings, Queue.NEW)[0].queued_at - time.time()) < 60


def test_a_backfill_goes_through_the_catalog_in_order_of_id(settings: Settings, listings: Listings) -> None:
    """The asked range and no more; an id that is no integer travels by its text, to be rejected by name."""
    strange = ObjectId()
    listings.insert_many([listing(each) for each in (9, 2, 7, 4, 1)])
    listings.insert_one({"_id": strange})
    pages = Pages(settings)
    with open_listings(settings) as source:
        assert backfill.count(source, backfill.id_range(2, 7)) == 3
        list(pages.send_all(backfill.ids(source, backfill.id_range(2, 7)), Queue.BACKFILL))
        list(pages.send_all(backfill.ids(source, backfill.id_range(None, None)), Queue.BACKFILL))
    pages.close()
    assert ids(queued(settings, Queue.BACKFILL)) == [2, 4, 7, 1, 2, 4, 7, 9, f"ObjectId('{strange}')"]


@pytest.fixture
def watching(settings: Settings) -> Iterator[Callable[..., threading.Event]]:
    """Start watchers in threads; each is stopped at the end."""
    running: list[tuple[threading.Event, threading.Thread]] = []

    def start(**changes: object) -> threading.Event:
        stopped = threading.Event()
        watcher = Watcher(settings.model_copy(update=changes), stopped)
        thread = threading.Thread(target=watcher.run)
        thread.start()
        running.append((stopped, thread))
        return stopped

    yield start
    for stopped, thread in running:
        stopped.set()
        thread.join(30)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def position(settings: Settings) -> object:
    from producer.cursors import Cursor

    cursor = Cursor(settings, f"watch:{settings.mongo_database}.{settings.mongo_collection}")
    try:
        return cursor.read()
    finally:
        cursor.close()


def test_watch_enqueues_what_is_listed(settings: Settings, listings: Listings, watching: Callable[..., object]) -> None:
    """Inserts and replacements, old documents not; pages fill up under load and do not wait when idle."""
    listings.insert_one(listing(100))
    watching()
    wait_for(lambda: position(settings) is not None)
    listings.insert_one(listing(1))
    wait_for(lambda: ids(queued(settings, Queue.NEW)) == [1])
    listings.insert_many([listing(each) for each in range(2, 12)])
    listings.replace_one({"_id": 100}, listing(100, b"other"))
    listings.insert_one({"_id": "a name"})
    wait_for(lambda: len(ids(queued(settings, Queue.NEW))) == 13)
    assert ids(queued(settings, Queue.NEW)) == [*range(1, 12), 100, "str('a name')"]
    assert max(len(page.ids) for page in queued(settings, Queue.NEW)) == settings.page_size


def test_pictures_that_come_later_are_seen(
    settings: Settings, listings: Listings, watching: Callable[..., object]
) -> None:
    """A listing that is given its photos by an update is enqueued again; other updates are not."""
    listings.insert_many([{"_id": 1, "imgs": []}, listing(2), listing(3)])
    watching()
    wait_for(lambda: position(settings) is not None)
    listings.update_one({"_id": 3}, {"$set": {"title": "imgs"}})
    listings.update_one({"_id": 1}, {"$set": {"imgs": listing(1)["imgs"]}})
    listings.update_one({"_id": 2}, {"$set": {"imgs.0.picture": b"new"}})
    wait_for(lambda: ids(queued(settings, Queue.NEW)) == [1, 2])


def test_watch_survives_a_collection_that_is_dropped(
    settings: Settings, listings: Listings, watching: Callable[..., object]
) -> None:
    """The stream ends with the collection; the watcher opens another, and so does one that is started later."""
    stopped = watching()
    listings.insert_one(listing(1))
    wait_for(lambda: ids(queued(settings, Queue.NEW)) in ([1], []))
    wait_for(lambda: position(settings) is not None)
    listings.drop()
    time.sleep(1)
    listings.insert_one(listing(2))
    wait_for(lambda: 2 in ids(queued(settings, Queue.NEW)))
    stopped.set()
    time.sleep(0.5)
    listings.drop()
    listings.insert_one(listing(3))
    watching()
    wait_for(lambda: 3 in ids(queued(settings, Queue.NEW)))


def test_what_mongodb_refuses_is_told_and_the_rest_is_loaded(
    settings: Settings, listings: Listings, tmp_path: Path
) -> None:
    """One bad document does not end the load."""
    dump = tmp_path / "dump.bson"
    documents = [listing(1), {"_id": [1, 2]}, listing(2), {"imgs": []}]
    dump.write_bytes(b"".join(map(bson.encode, documents)))
    with open_listings(settings) as target:
        loaded = load.load(target, dump, lambda _: None)
    assert (loaded.inserted, loaded.refused, loaded.without_id) == (2, 1, 1)
    assert f"refuses the document at byte {len(bson.encode(listing(1))):,} " in str(loaded.refusal)


def test_watch_goes_on_where_it_was(
    settings: Settings, listings: Listings, watching: Callable[..., threading.Event]
) -> None:
    """What is listed while no watcher runs is enqueued by the next one, once."""
    stopped = watching()
    wait_for(lambda: position(settings) is not None)
    listings.insert_one(listing(1))
    wait_for(lambda: ids(queued(settings, Queue.NEW)) == [1])
    stopped.set()
    time.sleep(0.5)
    listings.insert_many([listing(2), listing(3)])
    time.sleep(0.5)
    assert ids(queued(settings, Queue.NEW)) == [1]
    watching()
    wait_for(lambda: ids(queued(settings, Queue.NEW)) == [1, 2, 3])


def test_the_position_is_stored_after_the_page_is_enqueued(
    settings: Settings,
    listings: Listings,
    watching: Callable[..., threading.Event],
    processes: Processes,
    tmp_path: Path,
) -> None:
    """While Redis is away nothing is skipped: the position stays before the listings that are not enqueued."""
    stopped = watching(redis_url="redis://127.0.0.1:9/0", connect_timeout_seconds=0.2)
    wait_for(lambda: position(settings) is not None)
    before = position(settings)
    listings.insert_many([listing(1), listing(2)])
    time.sleep(2)
    assert position(settings) == before
    stopped.set()
    watching()
    wait_for(lambda: ids(queued(settings, Queue.NEW)) == [1, 2])
    wait_for(lambda: position(settings) != before)


def test_a_mongod_without_replica_set_is_told_with_the_remedy(
    settings: Settings, processes: Processes, tmp_path: Path
) -> None:
    """One sentence: what to start, and what to use meanwhile."""
    url = servers.mongo(processes, tmp_path / "standalone", replica_set=False)
    standalone = settings.model_copy(update={"mongo_url": url})
    with pytest.raises(WatchError, match="is not a replica set.*--replSet.*shelver-producer backfill"):
        Watcher(standalone, threading.Event()).run()


def test_a_mongodb_that_is_away_is_told_by_its_variable(settings: Settings) -> None:
    """The command says which server, without the password in its URL."""
    away = settings.model_copy(
        update={"mongo_url": "mongodb://user:secret@127.0.0.1:9/", "connect_timeout_seconds": 0.2}
    )
    with pytest.raises(Unavailable, match="SHELVER_MONGO_URL") as told, open_listings(away) as source:
        source.find_one()
    assert "secret" not in str(told.value)


def test_every_setting_reaches_a_process_by_its_variable(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `environment` writes, `load` reads back."""
    from worker.contract import settings as configuration

    for name, value in settings.environment().items():
        assert name.startswith(PREFIX)
        monkeypatch.setenv(name, value)
    assert configuration.load() == settings

"""From the catalog to the queue, on a real MongoDB and a real Redis."""

import base64
import json
import time
from collections.abc import Iterator

import pytest
import redis
from bson.int64 import Int64
from pymongo import MongoClient
from pymongo.collection import Collection

import producer
from producer.connections import _of_process, of_this_process
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


def test_enqueue_makes_pages_of_each_id_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the catalog system calls: settings from the environment, one id or many."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    _of_process.cache_clear()
    assert producer.enqueue(5) == 1
    assert producer.enqueue([Int64(1), 2, 3, 2, 4, 5, 6], queue="backfill") == 6
    of_this_process().close()
    _of_process.cache_clear()
    assert ids(queued(settings, Queue.NEW)) == [5]
    assert [page.ids for page in queued(settings, Queue.BACKFILL)] == [(1, 2, 3, 4), (5, 6)]
    assert abs(queued(settings, Queue.NEW)[0].queued_at - time.time()) < 60


def test_every_setting_reaches_a_process_by_its_variable(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `environment` writes, `load` reads back."""
    from worker.contract import settings as configuration

    for name, value in settings.environment().items():
        assert name.startswith(PREFIX)
        monkeypatch.setenv(name, value)
    assert configuration.load() == settings

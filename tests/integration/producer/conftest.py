"""A catalog of its own for each test of the producer, and an empty Redis."""

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from pymongo import MongoClient
from pymongo.collection import Collection

from deploy.local.processes import Processes, Started
from producer.watching.watcher import Watcher
from tests.conftest import command
from worker.contract.settings import Settings

Listings = Collection[dict[str, object]]
#: start a watcher in a thread, with some settings changed; what it returns stops it and waits until it has stopped
Watch = Callable[..., Callable[[], None]]

#: start `shelver-producer watch` as a process of its own, with a name and variables
Start = Callable[..., Started]
#: has a watcher killed beside its position
SHIM = Path(__file__).parent / "shims" / "killing"


@pytest.fixture
def settings(mongo_url: str, redis_url: str, sqlite_settings: Settings) -> Settings:
    """Small pages, so that few listings make many."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    database = f"test_{uuid.uuid4().hex}"
    return sqlite_settings.model_copy(
        update={"mongo_url": mongo_url, "redis_url": redis_url, "mongo_database": database, "page_size": 4}
    )


@pytest.fixture
def listings(settings: Settings) -> Iterator[Listings]:
    """The catalog."""
    with MongoClient(settings.mongo_url) as client:
        yield client[settings.mongo_database][settings.mongo_collection]
        client.drop_database(settings.mongo_database)


@pytest.fixture
def watching(settings: Settings) -> Iterator[Watch]:
    """Watchers of the test's settings; each is stopped at the end."""
    running: list[Callable[[], None]] = []

    def start(from_now: bool = False, **changes: object) -> Callable[[], None]:
        stopped = threading.Event()
        thread = threading.Thread(target=Watcher(settings.model_copy(update=changes), stopped, from_now).run)
        thread.start()

        def stop() -> None:
            stopped.set()
            thread.join(30)
            assert not thread.is_alive()

        running.append(stop)
        return stop

    yield start
    for stop in running:
        stop()


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Start `shelver-producer watch` as a process of its own."""
    running = Processes(tmp_path)

    def started(name: str = "watch", **environment: str) -> Started:
        variables = {**os.environ, **settings.environment(), **environment}
        return running.start(name, [*command("shelver-producer"), "watch"], variables)

    yield started
    running.stop()

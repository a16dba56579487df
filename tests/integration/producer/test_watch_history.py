"""A MongoDB that no longer has the changes, or takes its time: nothing is missed."""

import signal
import time
from collections.abc import Iterator

import pytest
from bson import json_util
from pymongo import MongoClient

from deploy.local import servers
from deploy.local.processes import Processes
from producer.cursors import LEASE_SECONDS
from tests.integration.producer.conftest import SHIM, Listings, Start, Watch
from tests.integration.producer.positions import position, set_position
from tests.integration.queues import ids, queued, wait_for
from tests.pictures import listing
from worker.contract.messages import Queue
from worker.contract.settings import Settings


@pytest.fixture(scope="module")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A replica set of one that can be told to fail."""
    folder = tmp_path_factory.mktemp("failing")
    running = Processes(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SHELVER_MONGO_URL", raising=False)
        yield servers.mongo(running, folder / "data", options=["--setParameter", "enableTestCommands=1"])
    running.stop()


def test_history_that_is_lost_is_caught_up_with(settings: Settings, listings: Listings, watching: Watch) -> None:
    """What was listed meanwhile comes by its order, on the queue that gives way; what is listed then, by the stream."""
    listings.insert_many([listing(each) for each in range(2000, 2010)])
    stop = watching()
    wait_for(lambda: position(settings) is not None)
    listings.insert_one(listing(5000))
    wait_for(lambda: ids(queued(settings)) == [5000])
    stop()
    listings.insert_many([listing(each) for each in range(5001, 5010)])
    before = json_util.loads(json_util.dumps(position(settings)))
    # The token of a change of 1970: MongoDB keeps none that old, as after a watcher was down for too long.
    data = before["token"]["_data"]
    set_position(settings, {"token": {"_data": data[:2] + "00000001" + data[10:]}, "order": before["order"]})
    stop = watching()
    wait_for(lambda: ids(queued(settings, Queue.BACKFILL)) == list(range(5000, 5010)))
    wait_for(lambda: position(settings)["token"]["_data"] > data)
    listings.insert_many([listing(1), listing(6000)])
    wait_for(lambda: ids(queued(settings)) == [5000, 1, 6000])


@pytest.fixture
def failing(mongo_url: str) -> Iterator[MongoClient]:
    """A client whose failCommand can be set; it is off again at the end."""
    with MongoClient(mongo_url) as client:
        yield client
        client.admin.command("configureFailPoint", "failCommand", mode="off")


def lose_history(settings: Settings, client: MongoClient, order: object) -> None:
    """Have the stored token be of a change of 1970: MongoDB keeps none that old."""
    stored = position(settings)
    event = client[settings.mongo_database]["other"].watch()
    client[settings.mongo_database]["other"].insert_one({})
    data = next(event)["_id"]["_data"]
    event.close()
    set_position(settings, {**stored, "token": {"_data": data[:2] + "00000001" + data[10:]}, "order": order})


@pytest.mark.parametrize("identity", [int, str])
def test_history_that_is_lost_before_the_first_listing(
    settings: Settings, listings: Listings, watching: Watch, failing: MongoClient, identity: type
) -> None:
    """Where nothing was seen that could be gone on from, all there is is enqueued: whatever the _id is."""
    stop = watching(mongo_id_field="sku")
    wait_for(lambda: position(settings) is not None)
    stop()
    listings.insert_many([{"_id": identity(each), "sku": each} for each in range(0, 40_000, 2000)])
    lose_history(settings, failing, None)
    watching(mongo_id_field="sku")
    wait_for(lambda: len(ids(queued(settings, Queue.BACKFILL))) == 20)


def test_history_that_is_lost_while_a_page_fills(
    settings: Settings, listings: Listings, watching: Watch, failing: MongoClient
) -> None:
    """What was collected and not enqueued counts as not seen."""
    watching(page_linger_seconds=3)
    wait_for(lambda: position(settings) is not None)
    listings.insert_many([listing(each) for each in (100_000, 200_000)])
    time.sleep(1)
    failing.admin.command(
        "configureFailPoint",
        "failCommand",
        mode={"times": 1},
        data={
            "failCommands": ["getMore"],
            "errorCode": 286,
            "namespace": f"{settings.mongo_database}.products",
            "appName": "shelver-producer",
        },
    )
    wait_for(lambda: {100_000, 200_000} <= {*ids(queued(settings)), *ids(queued(settings, Queue.BACKFILL))})


def test_a_call_that_takes_long_does_not_cost_the_lease(
    settings: Settings, listings: Listings, start: Start, failing: MongoClient
) -> None:
    """A stream that MongoDB needs long to open is waited for by one watcher; the other keeps standing by."""
    failing.admin.command(
        "configureFailPoint",
        "failCommand",
        mode="alwaysOn",
        data={
            "failCommands": ["aggregate"],
            "blockConnection": True,
            "blockTimeMS": 1000 * (LEASE_SECONDS + 2),
            "appName": "shelver-producer",
        },
    )
    first, second = start("first"), start("second")
    wait_for(lambda: "watching test_" in first.log.read_text() + second.log.read_text(), 30)
    logs = first.log.read_text() + second.log.read_text()
    assert "taken over" not in logs
    assert logs.count("standing by") == 1


def test_a_scan_that_is_cut_off_goes_on(settings: Settings, listings: Listings, start: Start) -> None:
    """A watcher that is killed while it catches up is followed by one that catches up with the rest."""
    watching = start()
    wait_for(lambda: position(settings) is not None)
    listings.insert_one(listing(1))
    wait_for(lambda: position(settings)["order"] == 1)
    token = position(settings)["token"]["_data"]
    watching.process.kill()
    watching.process.wait()
    listings.insert_many([listing(each) for each in range(2000, 40_000, 2000)])  # further apart than late ones may come
    set_position(settings, {"token": {"_data": token[:2] + "00000001" + token[10:]}, "order": 1})
    killed = start(PYTHONPATH=str(SHIM), KILL_WHEN="after", KILL_AT_WRITE="2")
    assert killed.process.wait(30) == -signal.SIGKILL
    assert ids(queued(settings, Queue.BACKFILL)) == [1, *range(2000, 16_000, 2000)]
    start()
    wait_for(lambda: 38_000 in ids(queued(settings, Queue.BACKFILL)))
    assert ids(queued(settings, Queue.BACKFILL)) == [1, *range(2000, 16_000, 2000), *range(14_000, 40_000, 2000)]

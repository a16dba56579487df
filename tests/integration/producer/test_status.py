"""`producer.status` on a real MongoDB and both kinds of store; and the process that calls it."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest
import redis
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from pymongo import MongoClient
from pymongo.database import Database as MongoDatabase
from sqlalchemy import event

from producer import Reason, Standing, Status, Unavailable, status
from producer.connections import Connections, _of_process, of_this_process
from producer.standings import IDS_AT_A_TIME, standings
from tests.integration.producer.stored import store_prediction, store_reject, store_tree
from worker import schema
from worker.contract.database import Database
from worker.contract.settings import Settings

PREDICTED, REJECTED, PENDING, UNKNOWN = 1, 2, 3, 4
#: for what SQL has no part in
one_store = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def settings(mongo_url: str, redis_url: str, database_url: str) -> Settings:
    """A catalog and a migrated store of its own."""
    settings = Settings(
        mongo_url=mongo_url,
        mongo_database=f"test_{uuid.uuid4().hex}",
        redis_url=redis_url,
        database_url=database_url,
        connect_timeout_seconds=1,
    )
    schema.migrate(settings)
    return settings


@pytest.fixture
def catalog(settings: Settings) -> Iterator["MongoDatabase[dict[str, object]]"]:
    """The catalog's database; 1 and 3 are listed."""
    with MongoClient(settings.mongo_url) as client:
        database = client[settings.mongo_database]
        database[settings.mongo_collection].insert_many([{"_id": Int64(PREDICTED)}, {"_id": Int64(PENDING)}])
        yield database
        client.drop_database(settings.mongo_database)


@pytest.fixture
def store(settings: Settings) -> Iterator[Database]:
    """The store; 1 has a prediction, 2 a reject."""
    database = Database(settings.database_url)
    store_tree(database)
    store_prediction(database, PREDICTED)
    store_reject(database, REJECTED)
    yield database
    database.close()


@pytest.fixture
def connections(settings: Settings) -> Iterator[Connections]:
    connections = Connections(settings)
    yield connections
    connections.close()


@pytest.fixture
def called(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment has the settings; the process has no connections before and after."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    _of_process.cache_clear()
    yield
    of_this_process().close()
    _of_process.cache_clear()


@pytest.mark.usefixtures("catalog", "store", "called")
def test_each_product_stands_somewhere() -> None:
    """Predicted, rejected with the reason, pending or unknown: one id gives a standing, many a dictionary in order."""
    assert status(PREDICTED) == Standing(PREDICTED, Status.PREDICTED)
    assert status(REJECTED) == Standing(REJECTED, Status.REJECTED, Reason.UNDECODABLE, "picture 1 is damaged")
    assert status(PENDING) == Standing(PENDING, Status.PENDING)
    assert status(Int64(UNKNOWN)) == Standing(UNKNOWN, Status.UNKNOWN)
    found = status(iter([Int64(4), 3, 2, 1, 3]))
    assert list(found) == [4, 3, 2, 1]
    assert [each.status.value for each in found.values()] == ["unknown", "pending", "rejected", "predicted"]
    assert all(type(identity) is int and each.product_id == identity for identity, each in found.items())
    assert status([]) == {}


@pytest.mark.usefixtures("catalog")
def test_a_prediction_counts_more_than_a_reject(store: Database, connections: Connections) -> None:
    """A later attempt may fail: the product keeps the shelf it has, of whichever model, and is told once."""
    store_reject(store, PREDICTED, Reason.POISON)
    store_prediction(store, PREDICTED, version=2)
    assert standings(connections, [PREDICTED]) == {PREDICTED: Standing(PREDICTED, Status.PREDICTED)}


@pytest.mark.usefixtures("store")
def test_any_number_of_ids_is_one_query_each(
    catalog: "MongoDatabase[dict[str, object]]", connections: Connections
) -> None:
    """Thousands of ids, the ends of 64 bits among them: predictions, rejects and listings are each asked once."""
    standings(connections, [PENDING])  # connected
    statements: list[str] = []
    event.listen(connections.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    catalog.command("profile", 2)
    found = standings(connections, [*range(1, 20_001), -(2**63), 2**63 - 1])
    catalog.command("profile", 0)
    assert [sum(each.status is kind for each in found.values()) for kind in Status] == [1, 1, 1, 19_999]
    assert [name for each in statements for name in ("rejects", "predictions") if f"FROM {name}" in each] == [
        "rejects",
        "predictions",
    ]
    assert len(statements) == 2
    assert [each["op"] for each in catalog["system.profile"].find()] == ["query"]


@one_store
@pytest.mark.usefixtures("store")
def test_more_ids_than_mongodb_takes_at_once(
    catalog: "MongoDatabase[dict[str, object]]", settings: Settings, connections: Connections
) -> None:
    """They go in parts below its 16 MB; the first and the last of each are found."""
    edges = [10, 9 + IDS_AT_A_TIME, 10 + IDS_AT_A_TIME, 9 + 2 * IDS_AT_A_TIME]
    catalog[settings.mongo_collection].insert_many([{"_id": Int64(each)} for each in edges])
    found = standings(connections, range(10, 10 + 2 * IDS_AT_A_TIME))
    assert [identity for identity, each in found.items() if each.status is Status.PENDING] == edges


@one_store
@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("listed", [Int64(7), 7, 7.0, Decimal128("7"), Decimal128("7.00")], ids=repr)
def test_a_listed_number_is_found_as_whatever_type(
    listed: object, catalog: "MongoDatabase[dict[str, object]]", settings: Settings
) -> None:
    """What MongoDB holds equal to the id is that listing, in whichever field the catalog keeps its ids."""
    catalog["goods"].insert_one({"_id": "a name", "sku": {"number": listed}})
    elsewhere = settings.model_copy(update={"mongo_collection": "goods", "mongo_id_field": "sku.number"})
    connections = Connections(elsewhere)
    assert standings(connections, [7, 8])[7].status is Status.PENDING
    connections.close()


@one_store
@pytest.mark.usefixtures("store")
def test_a_mongodb_that_is_away_is_told(settings: Settings) -> None:
    """Which server, after a bounded time, without its password; and it is not asked for what has a row."""
    url = "mongodb://user:s3cret@127.0.0.1:9/"
    away = settings.model_copy(update={"mongo_url": url, "connect_timeout_seconds": 0.2})
    connections = Connections(away)
    with pytest.raises(Unavailable, match=r"MongoDB at mongodb://\*\*\*@127.0.0.1:9/ .*SHELVER_MONGO_URL") as told:
        standings(connections, [PENDING])
    assert "s3cret" not in str(told.value)
    assert len(standings(connections, [PREDICTED, REJECTED])) == 2
    connections.close()


@one_store
def test_a_store_that_is_away_is_told(settings: Settings) -> None:
    """Which server, without its password."""
    away = settings.model_copy(update={"database_url": "postgresql+psycopg://user:s3cret@127.0.0.1:9/shelver"})
    connections = Connections(away)
    with pytest.raises(Unavailable, match="127.0.0.1:9/shelver fails .SHELVER_DATABASE_URL.") as told:
        standings(connections, [PENDING])
    assert "s3cret" not in str(told.value)
    connections.close()


CALLS = """
import os, sys
from producer import enqueue, status

def call():
    assert enqueue([1, 2], "backfill") == 2
    assert status(1).status == "predicted" and len(status(range(9))) == 9

call()
child = os.fork()
call()
if child == 0:
    call()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
call()
print(*sys.modules)
"""


@pytest.mark.usefixtures("catalog", "store")
def test_the_calling_process_may_fork_and_stays_small(settings: Settings) -> None:
    """Parent and child go on, each on connections of its own; neither gRPC nor Pillow nor TensorFlow is loaded."""
    environment = {**os.environ, **settings.environment()}
    arguments = [sys.executable, "-W", "error::UserWarning", "-c", CALLS]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert not {name.partition(".")[0] for name in done.stdout.split()} & {"grpc", "PIL", "tensorflow", "fastapi"}
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushdb()

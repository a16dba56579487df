"""A model server that is away, slow, or refuses; a model that changes, or is none of Shelver's."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from pymongo import MongoClient
from tensorflow_serving.apis import predict_pb2

from deploy.local.processes import Processes
from tests.faults import audit, servers
from tests.faults.audit import Answers
from tests.faults.conftest import UNFIT, MakeLine, copied
from tests.faults.line import Line
from tests.faults.proxies import PREDICT, Fault, ModelProxy, failing, slow
from tests.faults.servers import Server
from worker.contract.product import Product
from worker.contract.rejects import Reason
from worker.tensors import from_proto

#: longer than a page waits in its worker
AWAY_SECONDS = 6
LONG_AWAY_SECONDS = 60


@pytest.fixture
def own_server(models: Path, tmp_path: Path) -> Iterator[Server]:
    """A model server of the case's own folder."""
    processes = Processes(tmp_path / "logs")
    yield servers.model_server(processes, models)
    processes.stop()


@pytest.mark.long
@pytest.mark.parametrize("seconds", [AWAY_SECONDS, LONG_AWAY_SECONDS])
def test_the_model_server_is_killed_and_comes_back(
    seconds: float, make_line: MakeLine, own_server: Server, catalog: list[int], undisturbed: Answers
) -> None:
    """Pages wait, first in their workers, then on the queue."""
    line = make_line(serving_address=own_server.url)
    line.get_to_work(catalog)
    own_server.kill()
    time.sleep(seconds)
    own_server.start()
    audit.check(line, undisturbed)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(failing(grpc.StatusCode.UNAVAILABLE), id="unavailable"),
        pytest.param(failing(grpc.StatusCode.RESOURCE_EXHAUSTED), id="resource exhausted", marks=pytest.mark.long),
        pytest.param(failing(grpc.StatusCode.INTERNAL), id="internal", marks=pytest.mark.long),
        pytest.param(slow(2), id="past the deadline", marks=pytest.mark.long),
    ],
)
def test_the_model_fails_for_a_while(
    fault: Fault, make_line: MakeLine, proxy: ModelProxy, catalog: list[int], undisturbed: Answers
) -> None:
    """Whatever it answers, waiting helps."""
    line = make_line(serving_address=proxy.address)
    line.get_to_work(catalog)
    proxy.fault = fault
    time.sleep(AWAY_SECONDS)
    proxy.heal()
    audit.check(line, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE"])
def test_the_model_fails_at_some_products(
    code: str, make_line: MakeLine, proxy: ModelProxy, catalog: list[int], undisturbed: Answers
) -> None:
    """They, and others with the same pictures, end as rejects; their company is predicted."""
    line = make_line(serving_address=proxy.address)
    keys = _picture_keys(line)
    refused = {keys[identity] for identity in catalog[:: len(catalog) // 5]}

    def fault(method: str, request: bytes) -> grpc.StatusCode | None:
        if not method.endswith(PREDICT):
            return None
        asked = from_proto(predict_pb2.PredictRequest.FromString(request).inputs["product"])
        return grpc.StatusCode[code] if refused & set(asked.tolist()) else None

    proxy.fault = fault
    line.start_workers()
    line.enqueue_all(catalog)
    expected = {identity: Reason.REFUSED_BY_MODEL for identity, key in keys.items() if key in refused}
    assert len(expected) >= 5
    audit.check(line, undisturbed, expected)


@pytest.mark.long
def test_the_model_is_swapped_for_a_new_version(
    make_line: MakeLine,
    own_server: Server,
    models: Path,
    versions: Path,
    catalog: list[int],
    undisturbed_by_both: Answers,
) -> None:
    """Every product has the answer of the version that it names."""
    line = make_line(serving_address=own_server.url)
    line.get_to_work(catalog)
    copied(versions, models, 2)
    time.sleep(AWAY_SECONDS)
    line.enqueue_all(catalog)
    audit.check(line, undisturbed_by_both)
    answers, _ = audit.read(line.database_url)
    assert {(identity, 2) for identity in catalog} <= answers.keys()
    assert {version for _, version in answers} == {1, 2}


@pytest.mark.long
def test_the_model_gives_way_to_one_of_other_shapes(
    make_line: MakeLine, own_server: Server, models: Path, versions: Path, catalog: list[int], undisturbed: Answers
) -> None:
    """Workers stop taking pages and say why once; they go on by themselves when the right one is back."""
    line = make_line(serving_address=own_server.url)
    line.get_to_work(catalog)
    copied(versions, models, UNFIT)
    stopped = "no page is taken until this is mended"
    line.wait_until(lambda: all(stopped in each.log.read_text() for each in line.workers), "stop")
    line.wait_until(lambda: line.waiting()["unacked"] == 0, "page given back")
    left, returned = line.waiting(), line.logs().count("page goes back")
    assert left["backfill"] > 0
    time.sleep(AWAY_SECONDS)
    assert line.waiting() == left
    assert line.logs().count("page goes back") == returned, "pages go round and round"
    (models / "shelver" / str(UNFIT)).rename(models / "withdrawn")
    audit.check(line, undisturbed)
    assert [each.log.read_text().count(stopped) for each in line.workers] == [1, 1]


@pytest.mark.long
def test_one_of_two_replicas_is_gone(
    make_line: MakeLine, own_server: Server, served: Server, catalog: list[int], undisturbed: Answers
) -> None:
    """The other answers for both; no page goes back."""
    line = make_line(serving_address=f"{served.url},{own_server.url}")
    line.get_to_work(catalog)
    own_server.kill()
    line.wait_for_rows(1500)
    own_server.start()
    audit.check(line, undisturbed)
    assert "page goes back" not in line.logs()


def _picture_keys(line: Line) -> dict[int, int]:
    """By product id, the number under which the model is asked about its pictures."""
    with MongoClient(line.settings.mongo_url) as client:
        listings = client[line.settings.mongo_database][line.settings.mongo_collection].find()
        return {int(each["_id"]): Product.from_document(each).picture_key for each in listings}

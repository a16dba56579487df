"""The HTTP service on real servers, called as a stranger calls it."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest
import redis
import requests
import uvicorn
from bson.int64 import Int64
from pymongo import MongoClient

from deploy.local.processes import Processes, Started
from producer.api.app import build
from producer.api.guard import MAX_BODY_BYTES
from tests.conftest import command
from tests.integration.producer.stored import CUP, HOME, KITCHEN, PLATE, store_prediction, store_reject, store_tree
from tests.integration.queues import ids, queued
from worker import schema
from worker.contract.database import Database
from worker.contract.messages import Queue
from worker.contract.settings import Settings

TOKEN = "a-token-for-tests-0123"  # noqa: S105 - of no service but ours
PREDICTED, REJECTED, PENDING, UNKNOWN = 12345, 2, 3, 4
one_store = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Call = Callable[..., requests.Response]


@contextmanager
def serving(settings: Settings) -> Iterator[Call]:
    """Serve from a thread on a free port; give a function that calls with the token."""
    server = uvicorn.Server(uvicorn.Config(build(settings), port=0, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    address = "http://{}:{}".format(*server.servers[0].sockets[0].getsockname())
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {settings.api_token}"

        def call(method: str, path: str, **options: object) -> requests.Response:
            return session.request(method, address + path, timeout=60, **options)

        yield call
    server.should_exit = True
    thread.join()


@pytest.fixture
def settings(mongo_url: str, redis_url: str, database_url: str) -> Iterator[Settings]:
    """A catalog and a store of its own, with a product of each standing, and an empty Redis."""
    settings = Settings(
        mongo_url=mongo_url,
        mongo_database=f"test_{uuid.uuid4().hex}",
        redis_url=redis_url,
        database_url=database_url,
        connect_timeout_seconds=1,
        api_token=TOKEN,
        api_rate=100_000,
    )
    schema.migrate(settings)
    database = Database(database_url)
    store_tree(database)
    store_prediction(database, PREDICTED, version=1, score=0.5)
    store_prediction(database, PREDICTED, version=2)
    store_reject(database, REJECTED)
    database.close()
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    with MongoClient(mongo_url) as client:
        client[settings.mongo_database].products.insert_many([{"_id": Int64(PREDICTED)}, {"_id": Int64(PENDING)}])
        yield settings
        client.drop_database(settings.mongo_database)


@pytest.fixture
def call(settings: Settings) -> Iterator[Call]:
    with serving(settings) as call:
        yield call


def test_a_prediction_is_told_with_names(call: Call) -> None:
    """The newest one: its model, the shelves of all levels in both languages, and the candidates, best first."""
    answer = call("GET", f"/listings/{PREDICTED}/prediction")
    assert answer.status_code == 200
    cup = {"id": CUP, "name": "TASSE", "name_en": "CUP", "score": 0.75}
    assert answer.json() == {
        "id": PREDICTED,
        "model": {"name": "shelver", "version": 2},
        "predicted_at": "2026-01-02T05:04:05Z",
        "picture_count": 2,
        "path": [
            {"id": HOME, "name": "MAISON", "name_en": "HOME", "score": 1.0},
            {"id": KITCHEN, "name": "CUISINE", "name_en": "KITCHEN", "score": 0.875},
            cup,
        ],
        "candidates": [cup, {"id": PLATE, "name": "ASSIETTE", "score": 0.125}],
    }


REJECTED_BECAUSE = {"status": "rejected", "reason": "undecodable", "detail": "picture 1 is damaged"}
WAITING = {"status": "pending", "detail": "in the catalog, and no worker has stored a prediction yet"}
NOWHERE = {"status": "unknown", "detail": "no listing in the catalog has this id"}


@one_store
def test_where_a_product_stands_is_told(call: Call) -> None:
    """Its status, and what is known beside it; 404 for what is not listed, and for a prediction that there is not."""
    answers = {
        (PREDICTED, ""): (200, {"status": "predicted"}),
        (REJECTED, ""): (200, REJECTED_BECAUSE),
        (PENDING, ""): (200, WAITING),
        (UNKNOWN, ""): (404, NOWHERE),
        (REJECTED, "/prediction"): (404, REJECTED_BECAUSE),
        (PENDING, "/prediction"): (404, WAITING),
        (UNKNOWN, "/prediction"): (404, NOWHERE),
        (-(2**63), ""): (404, NOWHERE),
        (2**63 - 1, ""): (404, NOWHERE),
    }
    for (identity, rest), (code, facts) in answers.items():
        answer = call("GET", f"/listings/{identity}{rest}")
        assert (answer.status_code, answer.json()) == (code, {"id": identity, **facts})


@one_store
def test_listings_are_enqueued(call: Call, settings: Settings) -> None:
    """Each id once, on the queue that is named, on `new` when none is."""
    assert call("POST", "/listings", json={"ids": [5, 6, 5]}).json() == {"enqueued": 2}
    backfill = call("POST", "/listings", json={"ids": [2**63 - 1, -(2**63)], "queue": "backfill"})
    assert (backfill.status_code, backfill.json()) == (202, {"enqueued": 2})
    assert ids(queued(settings, Queue.NEW)) == [5, 6]
    assert ids(queued(settings, Queue.BACKFILL)) == [2**63 - 1, -(2**63)]


BAD_BODIES = {
    "nothing": b"",
    "no JSON": b'{"ids": [1',
    "not UTF-8": b'{"ids": [1], "\xff": 1}',
    "no object": b"[1]",
    "no ids": b"{}",
    "empty": b'{"ids": []}',
    "one id": b'{"ids": 1}',
    "text": b'{"ids": ["1"]}',
    "true": b'{"ids": [true]}',
    "a float": b'{"ids": [1.0]}',
    "null": b'{"ids": [null]}',
    "NaN": b'{"ids": [NaN]}',
    "65 bits": b'{"ids": [9223372036854775808]}',
    "below 64 bits": b'{"ids": [-9223372036854775809]}',
    "5,000 digits": b'{"ids": [' + b"1" * 5000 + b"]}",
    "deep": b'{"ids": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "another queue": b'{"ids": [1], "queue": "urgent"}',
    "a slip of the pen": b'{"ids": [1], "que": "new"}',
    "too many": json.dumps({"ids": list(range(10_001))}).encode(),
    "all wrong": json.dumps({"ids": ["x" * 50] * 10_000}).encode(),
    "a long name": json.dumps({"ids": [1], "x" * 500_000: 1}).encode(),
}


@one_store
def test_another_body_is_refused(call: Call, settings: Settings) -> None:
    """In one short sentence, whatever was sent; and nothing is enqueued."""
    for name, body in BAD_BODIES.items():
        answer = call("POST", "/listings", data=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422, name
        assert set(answer.json()) == {"detail"}
        assert 0 < len(answer.json()["detail"]) < 300, name
    assert "sent as Content-Type: application/json" in call("POST", "/listings", data=b'{"ids": [1]}').json()["detail"]
    for identity in ("x", "1_0", "5.0", "+5", "1.5", "true", str(2**63), "1" * 5000, "%00"):
        assert call("GET", f"/listings/{identity}").status_code == 422, identity
    assert queued(settings) == []


@one_store
def test_a_body_that_is_too_large_is_refused(call: Call, settings: Settings) -> None:
    """Told or not told how long it is, it is not read to its end."""
    body = b'{"ids": [1' + b" " * MAX_BODY_BYTES + b"]}"
    headers = {"Content-Type": "application/json"}
    for data in (body, iter([body[:1000], body[1000:]])):
        answer = call("POST", "/listings", data=data, headers=headers)
        assert (answer.status_code, list(answer.json())) == (413, ["detail"])
    fits = call("POST", "/listings", data=body[: MAX_BODY_BYTES - 2] + b"]}", headers=headers)
    assert fits.json() == {"enqueued": 1}


WRONG = [
    None,
    "",
    TOKEN,
    "Bearer",
    f"Basic {TOKEN}",
    "Bearer wrong",
    f"Bearer {TOKEN}x",
    f"Bearer {TOKEN} x",
    "Bearer é",
]


@one_store
def test_who_shows_no_token_learns_nothing(call: Call) -> None:
    """401 before the path, the method or the body is looked at; health and the page are for everyone."""
    for shown in WRONG:
        for method, path in (("GET", f"/listings/{PREDICTED}"), ("POST", "/listings"), ("PUT", "/nowhere")):
            authorization = shown and shown.encode("latin-1")
            answer = call(method, path, headers={"Authorization": authorization}, data=b"{")
            assert answer.status_code == 401, (shown, path)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert TOKEN not in answer.text
    assert call("GET", f"/listings/{PREDICTED}", headers={"Authorization": f"bearer  {TOKEN} "}).status_code == 200
    for path in ("/health", "/docs", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json"):
        assert call("GET", path, headers={"Authorization": None}).status_code == 200
    assert call("GET", "/docs/../listings/3", headers={"Authorization": None}).status_code == 401


@one_store
def test_the_page_needs_nothing_from_elsewhere(call: Call) -> None:
    """It works where there is no way out: scripts, styles and the description are the service's own."""
    assert "//" not in call("GET", "/docs").text
    description = call("GET", "/openapi.json").json()
    assert description["openapi"].startswith("3.0.")  # the bundled page reads no other
    assert description["components"]["securitySchemes"]["bearerAuth"]["scheme"] == "bearer"


@one_store
def test_an_address_has_so_many_requests_a_minute(settings: Settings) -> None:
    """Then 429 with the seconds to wait, tokens that are tried among them; /health is not counted."""
    with serving(settings.model_copy(update={"api_rate": 5})) as call:
        codes = [call("GET", "/listings/3", headers={"Authorization": shown}).status_code for shown in [None] * 3]
        codes += [call("GET", "/listings/3").status_code for _ in range(4)]
        answer = call("GET", "/listings/3")
        assert codes == [401, 401, 401, 200, 200, 429, 429]
        assert answer.json() == {"detail": "too many requests from this address"}
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert [call("GET", "/health").status_code for _ in range(10)] == [200] * 10


AWAY = {
    "redis": {"redis_url": "redis://:s3cret@127.0.0.1:9/0"},
    "mongodb": {"mongo_url": "mongodb://user:s3cret@127.0.0.1:9/"},
    "sql": {"database_url": "postgresql+psycopg://user:s3cret@127.0.0.1:9/shelver"},
}


@one_store
@pytest.mark.parametrize("server", AWAY)
def test_a_server_that_is_away_is_told(server: str, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """503 after a bounded time: the caller learns no address, ops find it in the log, and nobody a password."""
    with serving(settings.model_copy(update={**AWAY[server], "connect_timeout_seconds": 0.5})) as call:
        begun = time.monotonic()
        health = call("GET", "/health")
        asked = ("POST", "/listings") if server == "redis" else ("GET", f"/listings/{PENDING}")
        answer = call(*asked, json={"ids": [1]})
        assert time.monotonic() - begun < 10
    assert (health.status_code, health.json()) == (503, {each: each != server for each in AWAY})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["detail"].startswith("a server behind this one does not answer")
    assert "127.0.0.1:9" in caplog.text
    assert "s3cret" not in caplog.text + answer.text + health.text


@one_store
def test_a_server_that_hangs_is_given_up(settings: Settings) -> None:
    """A Redis that takes connections and says nothing holds up a caller for a bounded time, and others not at all."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with serving(settings.model_copy(update={"redis_url": url, "connect_timeout_seconds": 0.5})) as call:
            begun = time.monotonic()
            assert call("POST", "/listings", json={"ids": [1]}).status_code == 503
            assert time.monotonic() - begun < 4
            assert call("GET", f"/listings/{PENDING}").status_code == 200
            assert call("GET", "/health").json() == {"redis": False, "mongodb": True, "sql": True}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[Started, str]]]:
    """Start the installed command on a free port; give the process and its address."""
    processes = Processes(tmp_path / "logs")

    def make(settings: Settings, *options: str) -> tuple[Started, str]:
        environment = {**os.environ, **settings.environment()}
        arguments = [*command("shelver-producer"), "api", "--port", "0", *options]
        started = processes.start("api", arguments, environment)
        address = started.wait_for(r"listening on (http://\S+),")[1]
        started.wait_for("Application startup complete")
        return started, address

    yield make
    processes.stop()


@one_store
def test_schemathesis_finds_nothing(
    start: Callable[..., tuple[Started, str]], settings: Settings, tmp_path: Path
) -> None:
    """What it makes of the description, good and bad, is answered as described there: all its checks hold."""
    started, address = start(settings)
    arguments = [*command("st"), "run", f"{address}/openapi.json", "--checks", "all", "--max-examples", "50"]
    # Not its stateful phase: to enqueue an id creates nothing that the other endpoints must then have.
    arguments += ["--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-color"]
    arguments += ["--header", f"Authorization: Bearer {TOKEN}"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 selected / 4 total" in done.stdout
    log = started.log.read_text()
    assert '"GET /listings/12345/prediction HTTP/1.1" 200' in log
    assert "Traceback" not in log
    assert TOKEN not in log


@one_store
def test_sigterm_finishes_the_request_in_hand(start: Callable[..., tuple[Started, str]], settings: Settings) -> None:
    """Whoever is being answered gets the answer; then the command ends, and that is no failure."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a Redis that says nothing, so that it takes a while
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        started, address = start(settings.model_copy(update={"redis_url": url, "connect_timeout_seconds": 0.5}))
        answers: list[int] = []

        def ask() -> None:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            answers.append(
                requests.post(f"{address}/listings", json={"ids": [1]}, headers=headers, timeout=30).status_code
            )

        asking = threading.Thread(target=ask)
        asking.start()
        with silent.accept()[0]:
            started.process.send_signal(signal.SIGTERM)
            assert started.process.wait(20) == 0
            asking.join()
    assert answers == [503]
    assert "Traceback" not in started.log.read_text()


@one_store
def test_without_a_token_it_serves_this_machine(start: Callable[..., tuple[Started, str]], settings: Settings) -> None:
    """On the loopback address, of either kind, nobody else can ask."""
    _, address = start(settings.model_copy(update={"api_token": ""}), "--host", "::1")
    assert address.startswith("http://[::1]:")
    took = []
    with requests.Session() as session:
        for _ in range(20):
            begun = time.monotonic()
            assert session.get(f"{address}/listings/{PENDING}", timeout=10).json()["status"] == "pending"
            took.append(time.monotonic() - begun)
    assert median(took) < 0.03  # a delayed acknowledgement between head and body would be 40 ms, each time

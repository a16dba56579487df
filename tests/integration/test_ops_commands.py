"""The commands of ops, as installed, on real servers and a real worker."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from celery import Celery
from pymongo.collection import Collection
from sqlalchemy import func, insert, select, text

from deploy.local import servers
from deploy.local.processes import Processes, Started
from tests.conftest import command
from tests.integration.queues import ids as ids_of
from tests.integration.queues import queued
from tests.pictures import listing
from worker import probes
from worker.contract.broker import celery_options
from worker.contract.database import Database
from worker.contract.messages import Page, Queue
from worker.contract.product import stand_in_id
from worker.contract.rejects import Reason
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.tables import models, predictions, rejects
from worker.control import Control
from worker.rejected import ROWS_AT_A_TIME, Choice, Rejects
from worker.status import look

Listings = Collection[dict[str, object]]
Ops = Callable[..., "subprocess.CompletedProcess[str]"]
#: for what SQL has no part in
one_store = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def settings(line: Settings, redis_url: str, tmp_path: Path) -> Settings:
    """The line on an empty Redis, with a state folder of its own."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    return line.model_copy(update={"state_folder": str(tmp_path / "state"), "page_size": 20})


@pytest.fixture
def ops(settings: Settings) -> Ops:
    """Run shelver-worker to its end."""

    def make(*arguments: object, answer: str = "", **changes: object) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "COLUMNS": "200", **settings.model_copy(update=changes).environment()}
        return subprocess.run(
            [*command("shelver-worker"), *map(str, arguments)],
            env=environment,
            input=answer,
            capture_output=True,
            text=True,
            timeout=100,
        )

    return make


def said(done: "subprocess.CompletedProcess[str]", code: int = 0) -> str:
    """What a command said on stdout; and the last line of stderr when it failed."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + (done.stderr if code else "")


def start(settings: Settings, processes: Processes) -> Started:
    environment = {**os.environ, **settings.environment()}
    started = processes.start("worker", [*command("shelver-worker"), "run", "--concurrency", "2"], environment)
    started.wait_for(r"@\S+ ready")
    return started


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[Started]:
    """A running worker with two children."""
    processes = Processes(tmp_path / "logs")
    yield start(settings, processes)
    processes.stop()


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database_url)
    yield database
    database.close()


@pytest.fixture
def enqueue(settings: Settings) -> Iterator[Callable[..., int]]:
    pages = Pages(settings)
    yield lambda ids, queue: sum(pages.send_all(ids, queue))
    pages.close()


def count(database: Database, table) -> int:
    with database.begin() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def wait_for(condition: Callable[[], bool], worker: Started, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, worker.log.read_text()
        time.sleep(0.05)


def load(settings: Settings, queue: Queue):
    control = Control(settings)
    try:
        return next(each for each in control.loads() if each.queue is queue)
    finally:
        control.close()


@one_store
def test_pause_stops_the_workers_and_resume_goes_on(
    ops: Ops,
    settings: Settings,
    worker: Started,
    listings: Listings,
    enqueue: Callable[..., int],
    database: Database,
) -> None:
    """A paused queue keeps its pages while the other goes on; after a resume `new` is still ahead of `backfill`."""
    listings.insert_many([listing(each) for each in range(1, 1502)])
    assert "backfill is paused: shelver-worker resume backfill goes on" in said(ops("pause", "backfill"))
    worker.wait_for(r"taking pages from new \[")
    enqueue(range(2, 1501), Queue.BACKFILL)
    enqueue([1501], Queue.NEW)
    wait_for(lambda: count(database, predictions) == 1, worker)
    assert load(settings, Queue.BACKFILL).depth == 75
    assert "new and backfill are paused" in said(ops("pause"))
    worker.wait_for("taking pages from no queue: all are paused")
    enqueue([1], Queue.NEW)
    paused = f"alive: worker {worker.process.pid} takes no pages: its queues are paused\n"
    wait_for(lambda: said(ops("live")) == paused, worker)
    assert count(database, predictions) == 1
    assert said(ops("resume")) == "new and backfill are resumed\n"

    def first_is_done() -> bool:
        with database.begin() as connection:
            return connection.scalar(select(predictions.c.product_id).where(predictions.c.product_id == 1)) == 1

    wait_for(first_is_done, worker)
    assert count(database, predictions) < 1501
    wait_for(lambda: count(database, predictions) == 1501, worker)


@one_store
def test_drain_ends_when_no_page_is_in_hand(
    ops: Ops,
    settings: Settings,
    worker: Started,
    listings: Listings,
    enqueue: Callable[..., int],
    database: Database,
) -> None:
    """In the middle of a backlog: what is in hand is stored, the rest waits and is lost to nobody."""
    listings.insert_many([listing(each) for each in range(1, 3001)])
    enqueue(range(1, 3001), Queue.BACKFILL)
    wait_for(lambda: count(database, predictions) > 0, worker)
    told = said(ops("drain", "--timeout", 60))
    assert "new and backfill are drained: nothing in flight" in told
    stored, left = count(database, predictions), load(settings, Queue.BACKFILL)
    assert (left.in_flight, left.is_paused) == (0, True)
    assert stored + 20 * left.depth == 3000
    time.sleep(2)
    assert count(database, predictions) == stored
    said(ops("resume"))
    wait_for(lambda: count(database, predictions) == 3000, worker)


@one_store
def test_drain_gives_up_at_its_time_limit(
    ops: Ops, settings: Settings, enqueue: Callable[..., int], database: Database
) -> None:
    """A page that nobody finishes: one sentence that says what is paused, and how to go on."""
    enqueue([1], Queue.NEW)
    app = Celery("shelver", set_as_current=False)
    app.conf.update(celery_options(settings))
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("new")
        message = queue.get(timeout=10)
        told = said(ops("drain", "new", "--timeout", 0), code=1)
        assert "error: new has 1 page(s) in flight after 0 s, and paused:" in told
        assert "shelver-worker resume new;" in told
        assert load(settings, Queue.NEW).is_paused
        assert "backfill is drained" in said(ops("drain", "backfill", "--timeout", 30))
        message.ack()
        queue.close()
    app.close()
    assert "new is drained" in said(ops("drain", "new"))


def test_a_reject_is_replayed_once_its_listing_is_mended(
    ops: Ops,
    settings: Settings,
    worker: Started,
    listings: Listings,
    enqueue: Callable[..., int],
    database: Database,
) -> None:
    """It stays a reject until then, with its attempts counted; the prediction removes it."""
    listings.insert_many([listing(1, b"broken"), listing(2, b"x"), listing(3)])
    enqueue([1, 2, 3, 404, "abc"], Queue.NEW)
    wait_for(lambda: count(database, rejects) == 4, worker)
    told = said(ops("rejects", "list"))
    assert "4 of 4 rejects shown" in told
    assert "2  wrong_format" in told
    assert "1 of 1 rejects shown" in said(ops("rejects", "list", "--reason", "not_found"))
    listings.replace_one({"_id": 1}, listing(1))
    told = said(ops("rejects", "replay", "--all"))
    assert "3 rejects enqueued on backfill" in told
    assert "1 left out: their ids are no integers (reason bad_id)" in told
    wait_for(lambda: count(database, predictions) == 2, worker)
    wait_for(lambda: "attempts 2" in said(ops("rejects", "show", 2)), worker)
    assert "1  has no reject" in said(ops("rejects", "show", 1))
    assert "abc  bad_id\n  _id is abc" in said(ops("rejects", "show", "abc"))
    told = said(ops("rejects", "replay", 2, 1, "abc"))
    assert "1 rejects enqueued" in told
    assert "1 of the ids have no such reject" in told


@pytest.fixture
def many(database: Database) -> int:
    """More rejects than one statement reads, of several ages and reasons, and one whose id is no integer."""
    now = datetime.now(UTC)
    rows = [
        {
            "product_id": number,
            "reason": Reason.UNDECODABLE if number % 2 else Reason.NOT_FOUND,
            "detail": f"[red]detail[/] of {number}\nsecond line",
            "attempts": 1,
            "first_at": now - timedelta(days=30),
            "last_at": now - timedelta(hours=number),
        }
        for number in range(1, 2 * ROWS_AT_A_TIME + 11)
    ]
    strange = {**rows[0], "product_id": stand_in_id("abc"), "reason": Reason.BAD_ID, "last_at": now}
    with database.begin() as connection:
        connection.execute(insert(rejects), [*rows, strange, {**rows[0], "product_id": -7, "last_at": now}])
    return len(rows) + 2


def test_rejects_are_chosen_by_reason_and_age(ops: Ops, many: int, settings: Settings) -> None:
    """Filters add up; the newest come first; JSON has the same."""
    found = json.loads(said(ops("rejects", "list", "--json", "--limit", 3)))
    half = (many - 2) // 2
    assert found["counts"] == {"undecodable": half + 1, "not_found": half, "bad_id": 1}
    assert [each["product_id"] for each in found["rejects"]] == [stand_in_id("abc"), -7, 1]
    assert found["rejects"][2]["detail"] == "[red]detail[/] of 1\nsecond line"
    arguments = ("--reason", "not_found", "--reason", "undecodable", "--older-than", "150m", "--newer-than", "5.5h")
    found = json.loads(said(ops("rejects", "list", "--json", *arguments)))
    assert [each["product_id"] for each in found["rejects"]] == [3, 4, 5]
    told = said(ops("rejects", "list", "--limit", 2))
    assert f"2 of {many:,} rejects shown" in told
    assert f"0 of {many:,} rejects shown" in said(ops("rejects", "list", "--limit", 0))
    assert "[red]detail[/] of 3\nsecond line" in said(ops("rejects", "show", 3))


def test_a_replay_goes_through_all_in_pages_in_order_of_id(ops: Ops, many: int, settings: Settings) -> None:
    """Each id once; a dry run sends nothing; ids that are no integers are left out."""
    total = many - 1
    told = said(ops("rejects", "replay", "--all", "--dry-run"))
    assert f"{total:,} rejects would be enqueued on backfill" in told
    assert "1 left out" in told
    assert not queued(settings, Queue.BACKFILL)
    said(ops("rejects", "replay", "--all"))
    pages = queued(settings, Queue.BACKFILL)
    assert ids_of(pages) == [-7, *range(1, total)]
    assert {len(page.ids) for page in pages[:-1]} == {settings.page_size}
    said(ops("rejects", "replay", "--older-than", "100.5h", "--newer-than", "104.5h", "--queue", "new"))
    assert ids_of(queued(settings, Queue.NEW)) == [101, 102, 103, 104]
    said(ops("rejects", "replay", "-7", 12, 11, 12, "--queue", "new"))
    assert queued(settings, Queue.NEW)[-1].ids == (-7, 11, 12)


@one_store
def test_nothing_is_replayed_or_dropped_by_mistake(ops: Ops, many: int, database: Database) -> None:
    """No choice, a misspelt option, an age that is none, or no answer: nothing happens."""
    for verb in ("replay", "drop"):
        assert "error: nothing is chosen: name ids" in said(ops("rejects", verb), code=1)
        assert "--all is every reject" in said(ops("rejects", verb, "--all", 5), code=1)
        assert "no such option: --older-then" in said(ops("rejects", verb, "--older-then", "2h"), code=2)
        assert "is no age" in said(ops("rejects", verb, "--older-than", "2 fortnights"), code=2)
    assert "Aborted" in said(ops("rejects", "drop", "--all"), code=1)
    assert "Aborted" in said(ops("rejects", "drop", "--all", answer="n\n"), code=1)
    assert f"{many:,} rejects would be dropped" in said(ops("rejects", "drop", "--all", "--dry-run"))
    assert count(database, rejects) == many


def test_rejects_are_dropped(ops: Ops, many: int, database: Database, settings: Settings) -> None:
    """By id, also a thousand at once, and by filter, once confirmed."""
    told = said(ops("rejects", "drop", 1, -7, "abc", 99_999, answer="y\n"))
    assert "3 rejects dropped" in told
    assert "1 of the ids have no such reject" in told
    assert "rejects dropped" in said(ops("rejects", "drop", "--reason", "not_found", "--yes"))
    left = Rejects(settings)
    assert set(left.counts(Choice())) == {Reason.UNDECODABLE}
    assert left.drop(Choice(ids=tuple(range(-5, 1 + ROWS_AT_A_TIME)))) == ROWS_AT_A_TIME // 2 - 1
    left.close()
    said(ops("rejects", "drop", "--all", "--yes"))
    assert count(database, rejects) == 0


@one_store
def test_a_replay_without_redis_is_one_sentence(ops: Ops, many: int) -> None:
    """After a bounded time, with what was sent and without the password."""
    told = said(ops("rejects", "replay", "--all", redis_url="redis://:s3cret@127.0.0.1:9/0"), code=1)
    assert "takes no page (SHELVER_REDIS_URL)" in told
    assert "0 were enqueued before" in told
    assert "s3cret" not in told
    for verb in ("pause", "resume", "drain"):
        told = said(ops(verb, redis_url="redis://:s3cret@127.0.0.1:9/0"), code=1)
        assert "error: Redis at redis://***@127.0.0.1:9/0 does not answer" in told


def test_status_and_ready_of_a_line_that_works(
    ops: Ops, settings: Settings, many: int, enqueue: Callable[..., int]
) -> None:
    """Depth, age, model, every server with its latency, rejects; JSON has the same as the tables."""
    enqueue(range(50), Queue.BACKFILL)
    said(ops("pause", "backfill"))
    found = json.loads(said(ops("status", "--json")))
    assert found["answers"] is True
    new, backfill = found["queues"]
    assert (new["queue"], new["depth"], new["oldest_seconds"], new["is_paused"]) == ("new", 0, None, False)
    assert (backfill["depth"], backfill["in_flight"], backfill["is_paused"]) == (3, 0, True)
    assert 0 <= backfill["oldest_seconds"] < 100
    assert found["model"] == {
        **{"name": "shelver", "label": "", "version": 1, "is_registered": True, "problem": None},
        "canary_version": None,
    }
    assert found["rollout"] == {"mode": "off", "share": 0.0, "version": None}
    assert [each["name"] for each in found["dependencies"]] == ["MongoDB", "Redis", "SQL store", "model server"]
    assert all(each["milliseconds"] > 0 and each["problem"] is None for each in found["dependencies"])
    assert sum(found["rejects"].values()) == many
    told = said(ops("status"))
    assert "PAUSED" in told
    assert "model: shelver version 1, registered in the store" in told
    assert "rollout: off; no version is labelled canary" in told
    assert said(ops("ready")) == "ready: model shelver version 1\n"


def test_servers_that_are_away_hide_nothing_of_the_others(ops: Ops, settings: Settings, database: Database) -> None:
    """Each with its reason, at once; what the others say is still told."""
    away = {
        "mongo_url": "mongodb://user:s3cret@127.0.0.1:9/",
        "redis_url": "redis://:s3cret@127.0.0.1:9/0",
        "database_url": "postgresql://user:s3cret@127.0.0.1:9/none",
        "serving_address": "127.0.0.1:9",
    }
    for number, (name, value) in enumerate(away.items()):
        done = ops("status", "--json", connect_timeout_seconds=2, **{name: value})
        found = json.loads(said(done, code=1).partition("\nerror")[0])
        problems = [each["problem"] for each in found["dependencies"]]
        assert [place for place, problem in enumerate(problems) if problem] == [number]
        assert f"SHELVER_{name.upper()}" in problems[number]
        assert (found["queues"] is None) == (name == "redis_url")
        assert (found["rejects"] is None) == (name == "database_url")
        assert (found["model"]["version"] is None) == (name == "serving_address")
    told = said(ops("ready", connect_timeout_seconds=2, **away), code=1)
    assert told.count("not ready: ") == len(told.splitlines()) == 4
    assert "s3cret" not in told
    told = said(ops("status", connect_timeout_seconds=2, **away), code=1)
    assert told.count("FAILS") == told.count("problem: ") == 4
    assert "s3cret" not in told


def test_ready_asks_for_a_model_that_fits_and_is_registered(ops: Ops, database: Database) -> None:
    """The server answers, and still nothing could be predicted."""
    told = said(ops("ready", model_name="nosuch"), code=1)
    assert "not ready: " in told
    assert "does not serve nosuch (SHELVER_MODEL_NAME)" in told
    with database.begin() as connection:
        connection.execute(models.update().values(version=99))
    assert "is served but not registered" in said(ops("ready"), code=1)
    assert "model: shelver version 1, NOT registered in the store" in said(ops("status"))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_rejects_that_take_long_to_count_hide_nothing(ops: Ops, settings: Settings, database: Database) -> None:
    """They are left out, the store answers all the same, and PostgreSQL itself gives the count up: none piles up."""
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE rejects RENAME TO slow"))
        connection.execute(text("CREATE VIEW rejects AS SELECT 1 AS product_id, 'poison' AS reason FROM pg_sleep(600)"))
    found = json.loads(said(ops("status", "--json", connect_timeout_seconds=2)))
    assert (found["rejects"], found["answers"], found["model"]["is_registered"]) == (None, True, True)
    assert "rejects: unknown" in said(ops("status", connect_timeout_seconds=2))
    assert look(settings, counts_rejects=False).problems() == []
    counting = text("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%FROM rejects%'")
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        deadline = time.monotonic() + 60
        while connection.scalar(counting) > 1:  # this question itself
            assert time.monotonic() < deadline
            time.sleep(0.1)


@one_store
def test_live_means_consuming_or_nothing_to_consume(
    ops: Ops,
    settings: Settings,
    worker: Started,
    enqueue: Callable[..., int],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that hangs is told from one that has nothing to do; one that was killed counts no more."""
    pid = worker.process.pid
    wait_for(lambda: bool(probes.read(Path(settings.state_folder))), worker)
    assert f"alive: worker {pid} has nothing to do" in said(ops("live"))
    monkeypatch.setattr(probes, "IDLE_SECONDS", 1)
    time.sleep(2)
    assert probes.live(settings)[0]  # idle, and its queues are empty
    worker.process.send_signal(signal.SIGSTOP)
    enqueue([404], Queue.NEW)
    alive, why = probes.live(settings)
    assert not alive
    assert why.startswith(f"worker {pid} has taken no page for ")
    assert why.endswith(" while new holds 1")
    monkeypatch.setattr(probes, "STAMP_SECONDS", 1)
    alive, why = probes.live(settings)
    assert not alive
    assert why.startswith(f"worker {pid} has said nothing for ")
    worker.process.send_signal(signal.SIGCONT)
    wait_for(lambda: count(database, rejects) == 1, worker)
    wait_for(lambda: probes.live(settings)[0], worker)
    worker.process.kill()
    worker.process.wait()
    assert "no worker runs on this machine" in said(ops("live"), code=1)


@one_store
def test_a_worker_that_waits_for_redis_lives(
    settings: Settings, tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis is away, and from its return until the worker has found it."""
    processes = Processes(tmp_path / "logs")
    monkeypatch.setattr(probes, "STAMP_SECONDS", 1.5)
    try:
        url = servers.redis_server(processes, tmp_path / "redis")
        (server,) = processes.started
        own = settings.model_copy(update={"redis_url": url, "connect_timeout_seconds": 1})
        worker = start(own, processes)
        wait_for(lambda: bool(probes.read(Path(own.state_folder))), worker)
        server.process.kill()
        server.process.wait()
        wait_for(lambda: probes.live(own)[1].startswith("waiting for Redis: "), worker)
        assert probes.live(own)[0]
        processes.start("redis", server.process.args)
        deadline = time.monotonic() + 60
        while "has nothing to do" not in probes.live(own)[1]:
            alive, why = probes.live(own)
            assert alive, why
            assert time.monotonic() < deadline, worker.log.read_text()
            time.sleep(0.2)
        pages = Pages(own)
        pages.send(Page((404,)))
        pages.close()
        wait_for(lambda: count(database, rejects) == 1, worker)
    finally:
        processes.stop()

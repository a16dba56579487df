"""The exporter: the whole line as Prometheus sees it."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import insert

from deploy.local.processes import Processes
from deploy.local.servers import free_port
from producer.cursors import Cursor
from tests.conftest import command
from tests.packages import installed
from tests.scrapes import Scrape, scrape
from worker.contract.database import Database
from worker.contract.messages import Page, Queue
from worker.contract.rejects import Reason
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.tables import models, rejects
from worker.control import Control
from worker.exporter import GAUGES, Line

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
UP = "shelver_dependency_up"


@pytest.fixture
def settings(line: Settings, redis_url: str) -> Settings:
    """The line on an empty Redis."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    return line.model_copy(update={"connect_timeout_seconds": 2})


@pytest.fixture
def cursor(settings: Settings) -> Iterator[Cursor]:
    """A watcher's, held."""
    with closing(Cursor(settings, "watch:shelver.products")) as cursor:
        assert cursor.take()
        yield cursor


def asked(settings: Settings, line: Line | None = None) -> Scrape:
    """What the exporter's collector says, without a process around it."""
    registry = CollectorRegistry()
    registry.register(line or Line(settings))
    return Scrape(generate_latest(registry).decode())


def test_the_state_of_the_line(settings: Settings, cursor: Cursor, tmp_path: Path) -> None:
    """Queues, servers, model, rejects and cursors, by the installed command, in a form that promtool has no word on."""
    with closing(Pages(settings)) as pages, closing(Control(settings)) as control:
        pages.send(Page((1, 2), queued_at=time.time() - 1000))
        pages.send(Page((3,)))
        control.pause([Queue.BACKFILL])
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        rest = {"detail": "", "attempts": 1, "first_at": datetime.now(UTC), "last_at": datetime.now(UTC)}
        connection.execute(insert(rejects).values(product_id=7, reason=Reason.NO_PICTURES, **rest))
    processes = Processes(tmp_path / "logs")
    try:
        environment = {**os.environ, **settings.environment()}
        exporter = processes.start("exporter", [*command("shelver-worker"), "exporter", "--port", "0"], environment)
        port = int(exporter.wait_for(r"metrics of the line at http://127\.0\.0\.1:(\d+)/metrics")[1])
        told = scrape(port)
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(20) == 0
        assert "Traceback" not in exporter.log.read_text()
    finally:
        processes.stop()
    assert {queue: told("shelver_queue_depth_pages", queue=queue) for queue in Queue} == {"new": 2, "backfill": 0}
    assert {queue: told("shelver_queue_paused", queue=queue) for queue in Queue} == {"new": 0, "backfill": 1}
    assert told("shelver_queue_in_flight_pages", queue="new") == 0
    assert told("shelver_queue_oldest_seconds", queue="new") >= 1000
    assert told("shelver_queue_oldest_seconds", queue="backfill") is None
    for dependency in ("mongodb", "redis", "store", "serving"):
        assert told(UP, dependency=dependency) == 1
        assert told("shelver_dependency_latency_seconds", dependency=dependency) > 0
    assert (told("shelver_served_model_version"), told("shelver_served_model_ready")) == (1, 1)
    assert told("shelver_stored_rejects", reason="no_pictures") == told.total("shelver_stored_rejects") == 1
    assert told("shelver_cursor_held", cursor="watch:shelver.products") == 1
    assert told("shelver_cursor_age_seconds", cursor="watch:shelver.products") >= 0
    checked = subprocess.run(
        [installed("prometheus", "promtool"), "check", "metrics"], input=told.text, capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_servers_that_are_down_are_told_and_nothing_is_made_up(settings: Settings, cursor: Cursor) -> None:
    """What only they know is left out, the rest is there, and no scrape fails or shows a password."""
    nobody = f"127.0.0.1:{free_port()}"
    away = {
        "mongodb": {"mongo_url": f"mongodb://user:s3cret@{nobody}/"},
        "redis": {"redis_url": f"redis://user:s3cret@{nobody}/0"},
        "store": {"database_url": f"postgresql+psycopg://user:s3cret@{nobody}/none"},
        "serving": {"serving_address": nobody},
    }
    for name, changes in away.items():
        told = asked(settings.model_copy(update=changes))
        assert {each: told(UP, dependency=each) for each in away} == {each: float(each != name) for each in away}
        assert told("shelver_dependency_latency_seconds", dependency=name) is None
        assert (told("shelver_queue_depth_pages", queue="new") is None) == (name == "redis")
        assert (told("shelver_stored_rejects", reason="poison") is None) == (name == "store")
        assert (told("shelver_cursor_held", cursor="watch:shelver.products") is None) == (name == "store")
        assert (told("shelver_served_model_version") is None) == (name == "serving")
        assert (told("shelver_served_model_ready") is None) == (name in ("serving", "store"))
    everything = {key: value for changes in away.values() for key, value in changes.items()}
    told = asked(settings.model_copy(update=everything))
    assert told.total(UP) == 0
    assert len(told.samples) == len(away)
    assert all(f"# TYPE {name} gauge" in told.text for name in GAUGES)
    assert "s3cret" not in told.text
    assert nobody not in told.text


def test_a_model_that_cannot_be_used_is_not_ready(settings: Settings) -> None:
    """Because the store does not know it, or the server does not."""
    assert asked(settings.model_copy(update={"model_name": "none"}))("shelver_served_model_ready") == 0
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        connection.execute(models.update().values(version=99))
    told = asked(settings)
    assert (told("shelver_served_model_version"), told("shelver_served_model_ready")) == (1, 0)
    assert told(UP, dependency="serving") == 1


def test_a_producer_that_died_holds_nothing(
    settings: Settings, cursor: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name stands in the row for ever; that it is silent shows from one look to the next."""
    monkeypatch.setattr("worker.exporter.KEPT_SECONDS", 0)
    monkeypatch.setattr("worker.exporter.SILENT_SECONDS", 2)
    line = Line(settings)
    held = {"cursor": "watch:shelver.products"}
    for _ in range(2):
        assert asked(settings, line)("shelver_cursor_held", **held) == 1
        time.sleep(2)
    cursor._stop_beating()
    asked(settings, line)
    time.sleep(2)
    assert asked(settings, line)("shelver_cursor_held", **held) == 0


def test_scrapes_that_come_at_once_ask_the_servers_once(settings: Settings) -> None:
    """One answer serves them all: they do not pile up before a server that is slow."""
    line = Line(settings)
    with closing(Pages(settings)) as pages:
        told = asked(settings, line)
        pages.send(Page((1,)))
        assert asked(settings, line).text == told.text
        assert asked(settings)("shelver_queue_depth_pages", queue="new") == 1

"""The metrics of a worker with children, as it serves them."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.error import URLError

import psutil
import pytest
import redis
from celery import Celery
from pymongo.collection import Collection
from sqlalchemy import delete

from deploy.local.processes import ProcessError, Processes, Started
from deploy.local.servers import free_port
from tests.conftest import command
from tests.integration.conftest import register
from tests.integration.queues import wait_for
from tests.pictures import jpeg, listing
from tests.scrapes import Scrape, scrape
from trainer.run import Run
from worker.contract.database import Database
from worker.contract.messages import TASK, Page, Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.tables import models

Listings = Collection[dict[str, object]]
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def settings(line: Settings, redis_url: str, tmp_path: Path) -> Settings:
    """The line on an empty Redis, with metrics."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    return line.model_copy(update={"state_folder": str(tmp_path / "state"), "metrics_port": free_port()})


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Settings], Started]]:
    """Start a worker with two children."""
    processes = Processes(tmp_path / "logs")

    def begin(settings: Settings) -> Started:
        environment = {**os.environ, **settings.environment()}
        started = processes.start("worker", [*command("shelver-worker"), "run", "--concurrency", "2"], environment)
        started.wait_for(r"@\S+ ready")
        return started

    yield begin
    processes.stop()


def send(settings: Settings, *pages: Page) -> None:
    with closing(Pages(settings)) as sender:
        for page in pages:
            sender.send(page)


def until(settings: Settings, holds: Callable[[Scrape], bool], seconds: float = 40) -> Scrape:
    """The first scrape of which it holds."""
    deadline = time.monotonic() + seconds
    while not holds(found := scrape(settings.metrics_port)):
        assert time.monotonic() < deadline, found.text
        time.sleep(0.1)
    return found


def test_a_worker_tells_what_all_its_children_did(
    settings: Settings, start: Callable[[Settings], Started], listings: Listings, redis_url: str
) -> None:
    """One scrape has the sums, and they go on when children are killed and replaced: nothing is lost or told twice."""
    twin = jpeg(99)
    listings.insert_many([*(listing(each) for each in range(1, 11)), listing(11, twin), listing(12, twin)])
    listings.insert_one(listing(13, b"broken"))
    worker = start(settings)
    pages = [Page(tuple(range(1, 11)), listed_at=time.time() - 100), Page((11, 12, 13, 404))]
    send(settings, *pages)
    Celery(broker=redis_url).send_task(TASK, ({"schema": 0},), queue="backfill", serializer="json")
    done = {"queue": "new", "result": "done"}
    told = until(settings, lambda told: told.total("shelver_pages_total") == 3)
    assert told("shelver_pages_total", **done) == 2
    assert told("shelver_pages_total", queue="backfill", result="dropped") == 1
    for result, products in {"predicted": 11, "copied": 1, "known": 0, "rejected": 2}.items():
        assert told("shelver_products_total", queue="new", result=result, side="stable") == products
    assert told("shelver_pictures_total", queue="new") == told("shelver_batch_pictures_sum") == 11
    assert told("shelver_rejects_total", reason="not_found") == 1
    assert told("shelver_rejects_total", reason="wrong_format") == 1
    assert told("shelver_predict_seconds_count", model_version=1, side="stable") == 2
    assert told("shelver_score_count", model_version=1, side="stable", queue="new") == 12
    assert told("shelver_model_version", side="stable") == 1
    assert told("shelver_model_unfit") == 0
    assert 0 <= time.time() - told("shelver_worker_started_timestamp_seconds") < 600
    assert told("shelver_lag_seconds_count", queue="new", since="enqueued") == 2
    assert told("shelver_lag_seconds_bucket", queue="new", since="listed", le="60.0") == 0
    assert told("shelver_lag_seconds_bucket", queue="new", since="listed", le="600.0") == 1
    assert all(told("shelver_resident_memory_bytes", process=each) > 2**20 for each in ("main", 0, 1))

    family = psutil.Process(worker.process.pid)
    for child in family.children():
        child.kill()
    began = told("shelver_worker_started_timestamp_seconds")
    told = until(settings, lambda told: told("shelver_children_started_total") == 4)
    assert told("shelver_pages_total", **done) == 2
    assert told("shelver_worker_started_timestamp_seconds") == began
    listings.insert_many([listing(each) for each in range(101, 401)])
    send(settings, *pages)
    until(settings, lambda told: told("shelver_pages_total", **done) == 4)
    send(settings, Page(tuple(range(101, 401)), Queue.BACKFILL))
    with redis.Redis.from_url(redis_url) as client:
        wait_for(lambda: client.keys("shelver:begun:*") and not client.llen("backfill"))
    for child in family.children():
        child.kill()
    told = until(settings, lambda told: told("shelver_pages_total", queue="backfill", result="done") == 1)
    assert told("shelver_pages_total", **done) == 4
    assert told("shelver_products_total", queue="new", result="known", side="stable") == 12
    assert told.total("shelver_products_total", queue="backfill") == 300
    assert told("shelver_retries_total", cause="killed") == 1
    folder = Path(settings.state_folder) / f"metrics-{settings.metrics_port}"
    assert len(list(folder.iterdir())) == 9  # of three processes, however many there were


def test_a_model_that_is_missing_shows(
    settings: Settings, run: Run, start: Callable[[Settings], Started], listings: Listings
) -> None:
    """From the first page that comes back because of it until the model is right."""
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        connection.execute(delete(models))
    start(settings)
    listings.insert_one(listing(1))
    send(settings, Page((1,)))
    told = until(settings, lambda told: told("shelver_model_unfit") == 1)
    assert told("shelver_pages_total", queue="new", result="returned") == 1
    assert told("shelver_retries_total", cause="model") == 1
    register(run, settings)
    told = until(settings, lambda told: told("shelver_pages_total", queue="new", result="done") == 1)
    until(settings, lambda told: told("shelver_model_unfit") == 0)


def test_a_worker_without_room_for_metrics_works(
    settings: Settings, start: Callable[[Settings], Started], listings: Listings
) -> None:
    """It says so once, and nobody answers at its port: Prometheus sees that, too. Nor is a port taken from another."""
    worker = start(settings.model_copy(update={"state_folder": "/proc/none"}))
    listings.insert_one(listing(1))
    send(settings, Page((1,)))
    worker.wait_for("page done")
    assert worker.log.read_text().count("no metrics: ") == 1
    with pytest.raises(URLError):
        scrape(settings.metrics_port)
    with socket.create_server(("127.0.0.1", settings.metrics_port)), pytest.raises(ProcessError) as told:
        start(settings)
    assert f"cannot listen on 127.0.0.1, port {settings.metrics_port}: Address already in use" in str(told.value)
    assert "choose with SHELVER_METRICS_HOST and _PORT" in str(told.value)

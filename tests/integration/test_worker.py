"""The worker as it runs: a Celery process with children, on real servers."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis
from celery import Celery
from pymongo.collection import Collection
from sqlalchemy import delete, func, select

from deploy.local.processes import Processes, Started
from tests.conftest import command
from tests.integration.conftest import register
from tests.pictures import listing
from trainer.run import Run
from worker.contract.broker import celery_options
from worker.contract.database import Database
from worker.contract.messages import TASK, Page, Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.tables import models, predictions, rejects

Listings = Collection[dict[str, object]]


@pytest.fixture
def worker(line: Settings, redis_url: str, tmp_path: Path) -> Iterator[Started]:
    """A running worker with two children."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    processes = Processes(tmp_path / "logs")
    environment = {**os.environ, **line.environment()}
    started = processes.start("worker", [*command("shelver-worker"), "run", "--concurrency", "2"], environment)
    started.wait_for(r"@\S+ ready")
    yield started
    processes.stop()


@pytest.fixture
def pages(line: Settings) -> Iterator[Pages]:
    pages = Pages(line)
    yield pages
    pages.close()


@pytest.fixture
def database(line: Settings) -> Iterator[Database]:
    database = Database(line.database_url)
    yield database
    database.close()


def count(database: Database, table) -> int:
    with database.begin() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def wait_for(condition: Callable[[], bool], worker: Started, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, worker.log.read_text()
        time.sleep(0.05)


def test_pages_on_the_queue_become_rows(
    worker: Started, pages: Pages, listings: Listings, database: Database, redis_url: str
) -> None:
    """Every id ends as one row; the queues are empty afterwards; a message that is no page harms nobody."""
    listings.insert_many([listing(each) for each in range(1, 101)])
    Celery(broker=redis_url).send_task(TASK, ({"schema": 0},), queue="new", serializer="json")
    assert sum(pages.send_all(range(1, 103), Queue.BACKFILL)) == 102
    wait_for(lambda: count(database, predictions) + count(database, rejects) == 102, worker)
    assert (count(database, predictions), count(database, rejects)) == (100, 2)
    with redis.Redis.from_url(redis_url) as client:
        wait_for(lambda: client.llen("new") + client.llen("backfill") + client.hlen("unacked") == 0, worker)
    log = worker.log.read_text()
    assert "message is no page and is dropped" in log
    assert "page schema is 0" in log
    assert "Traceback" not in log


def test_new_listings_overtake_a_backlog(worker: Started, pages: Pages, listings: Listings, database: Database) -> None:
    """`new` takes the next free child, however long `backfill` is."""
    listings.insert_many([listing(each) for each in range(1, 1501)])
    for _ in pages.send_all(range(2, 1501), Queue.BACKFILL):
        pass
    pages.send(Page((1,), Queue.NEW))

    def first_is_done() -> bool:
        with database.begin() as connection:
            return connection.scalar(select(predictions.c.product_id).where(predictions.c.product_id == 1)) == 1

    wait_for(first_is_done, worker)
    assert count(database, predictions) < 1500
    wait_for(lambda: count(database, predictions) == 1500, worker)


def test_no_tensorflow_in_the_worker(worker: Started, pages: Pages, listings: Listings, database: Database) -> None:
    """Neither the parent nor a child that has predicted has TensorFlow's library in memory."""
    listings.insert_one(listing(1))
    pages.send(Page((1,)))
    wait_for(lambda: count(database, predictions) == 1, worker)
    parent = psutil.Process(worker.process.pid)
    family = [parent, *parent.children(recursive=True)]
    assert len(family) == 3
    for process in family:
        assert "libtensorflow" not in Path(f"/proc/{process.pid}/maps").read_text()


def test_sigterm_ends_an_idle_worker_at_once(worker: Started) -> None:
    """Within its grace period, with no child left."""
    children = psutil.Process(worker.process.pid).children(recursive=True)
    worker.process.send_signal(signal.SIGTERM)
    worker.process.wait(15)
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_a_page_of_a_killed_child_is_done_by_another(
    worker: Started, pages: Pages, listings: Listings, database: Database
) -> None:
    """Acknowledged only when stored: kill -9 of the children under load loses nothing."""
    listings.insert_many([listing(each) for each in range(1, 601)])
    for _ in pages.send_all(range(1, 601), Queue.NEW):
        pass
    wait_for(lambda: count(database, predictions) > 0, worker)
    for child in psutil.Process(worker.process.pid).children():
        child.kill()
    wait_for(lambda: count(database, predictions) == 600, worker, seconds=60)


def test_a_page_of_a_newer_schema_stays_for_a_newer_worker(worker: Started, redis_url: str) -> None:
    """In a rolling upgrade an old worker gives back what it cannot read."""
    Celery(broker=redis_url).send_task(TASK, ({"schema": 2},), queue="new", serializer="json")
    worker.wait_for("page goes back .*page schema is 2; this worker reads schema 1")
    worker.process.terminate()
    worker.process.wait(40)
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen("new") + client.hlen("unacked") == 1


def test_an_unfit_model_closes_the_queues_until_it_is_right(
    line: Settings, run: Run, worker: Started, pages: Pages, listings: Listings, database: Database, redis_url: str
) -> None:
    """No page is taken meanwhile, the reason is told once, and nobody need start anything again."""
    with database.begin() as connection:
        connection.execute(delete(models))
    listings.insert_many([listing(each) for each in range(1, 301)])
    for _ in pages.send_all(range(1, 301), Queue.NEW):
        pass
    worker.wait_for("no page is taken until this is mended: .*version 1 is served but not registered")
    time.sleep(6)  # several looks at the model
    with redis.Redis.from_url(redis_url) as client:
        assert (client.llen("new"), client.hlen("unacked")) == (5, 0)
    log = worker.log.read_text()
    assert log.count("no page is taken") == 1
    assert log.count("page goes back") <= 4  # those in hand
    register(run, line)
    wait_for(lambda: count(database, predictions) == 300, worker)
    worker.wait_for("the model is right: taking pages again")


def test_a_page_of_too_many_ids_is_cut(
    worker: Started, pages: Pages, listings: Listings, database: Database, redis_url: str
) -> None:
    """Whatever a foreign producer sends as one page is done as pages of the usual size."""
    listings.insert_many([listing(each) for each in range(1, 101)])
    pages.send(Page(tuple(range(1, 1201)), Queue.NEW))
    wait_for(lambda: count(database, predictions) + count(database, rejects) == 1200, worker)
    assert count(database, predictions) == 100
    with redis.Redis.from_url(redis_url) as client:
        wait_for(lambda: client.llen("new") + client.hlen("unacked") == 0, worker)
        assert not client.keys("shelver:begun:*")
        assert not client.keys("shelver:failed:*")


def test_what_is_no_message_harms_nobody(
    worker: Started, pages: Pages, listings: Listings, database: Database, redis_url: str
) -> None:
    """Garbage that kombu cannot read is dropped with a line in the log; the page behind it is done."""
    with redis.Redis.from_url(redis_url) as client:
        for raw in (b"\x00\xff", b"garbage", b"[]", b"{}", b'{"body": "x"}'):
            client.lpush("new", raw)
    listings.insert_one(listing(1))
    pages.send(Page((1,)))
    wait_for(lambda: count(database, predictions) == 1, worker)
    assert worker.log.read_text().count("is no message and is dropped") == 5


def test_celery_options_pass_through_and_mistakes_are_one_sentence(line: Settings, tmp_path: Path) -> None:
    """--logfile is heeded; an option that Celery does not know is told without a traceback."""
    environment = {**os.environ, **line.environment()}
    wrong = subprocess.run(
        [*command("shelver-worker"), "run", "--bogus"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert wrong.returncode == 1
    assert "error: No such option" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    processes = Processes(tmp_path / "logs")
    log = tmp_path / "worker.log"
    processes.start("worker", [*command("shelver-worker"), "run", "-c", "1", "--logfile", str(log)], environment)
    try:
        deadline = time.monotonic() + 30
        while not (log.exists() and "ready" in log.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        processes.stop()


def test_both_sides_share_the_queue_options(line: Settings) -> None:
    """Redelivery waits longer than three of the longest pages."""
    options = celery_options(line)["broker_transport_options"]
    assert options["visibility_timeout"] > 3 * line.page_time_limit_seconds

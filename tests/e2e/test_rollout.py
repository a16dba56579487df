"""A new model from its folder to every product and back: the rehearsal, on real processes from end to end."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from pymongo import MongoClient
from sqlalchemy import select

from deploy.local.processes import Processes
from tests.conftest import command
from tests.integration.conftest import run, tiny_classifier  # noqa: F401 - run is a fixture
from tests.integration.queues import wait_for
from tests.pictures import listing
from trainer.publishing.publish import publish
from trainer.publishing.serving_config import FILE
from trainer.run import Run
from worker import schema
from worker.contract.database import Database
from worker.contract.messages import Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.tables import models, predictions
from worker.rollout import place

#: the version that is stable at first, one that answers as it does, and one that answers otherwise
OLD, GOOD, BAD = 1, 2, 3
SEEDS = {OLD: 1, BAD: 2, GOOD: 1}
FIRST, SECOND, THIRD = (range(start, start + 40) for start in (0, 100, 200))
SHARE = 0.5
SECONDS = 90


@dataclass(frozen=True)
class Line:
    """Everything that runs, and the commands on it."""

    settings: Settings
    folder: Path
    database: Database

    def do(self, name: str, *arguments: object, fails: bool = False) -> str:
        """Run an installed command to its end; return what it printed."""
        environment = {**os.environ, **self.settings.environment()}
        done = subprocess.run(
            [*command(f"shelver-{name}"), *map(str, arguments)], env=environment, capture_output=True, text=True
        )
        assert done.returncode == fails, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def list_products(self, ids: range) -> None:
        """Put products into the catalog and on the queue."""
        with MongoClient(self.settings.mongo_url) as client:
            client[self.settings.mongo_database][self.settings.mongo_collection].insert_many(map(listing, ids))
        self.enqueue(ids)

    def enqueue(self, ids: range) -> None:
        """Put products on the queue."""
        with closing(Pages(self.settings)) as pages:
            assert sum(pages.send_all(ids, Queue.NEW)) == len(ids)

    def predicted(self, is_latest: bool = True) -> set[tuple[int, int]]:
        """Return product and version of the predictions that are the latest of their products, or are not."""
        query = select(predictions.c.product_id, models.c.version).join(models, models.c.id == predictions.c.model_id)
        with self.database.begin() as connection:
            return set(map(tuple, connection.execute(query.where(predictions.c.is_latest.is_(is_latest)))))

    def expect(self, *expected: tuple[range | set[int], int]) -> None:
        """Wait until these products, and no others, have their latest prediction by these versions."""
        wanted = {(each, version) for ids, version in expected for each in ids}
        wait_for(lambda: self.predicted() == wanted, SECONDS)


@pytest.fixture
def line(run: Run, mongo_url: str, redis_url: str, tmp_path: Path) -> Iterator[Line]:  # noqa: F811
    """A model server that follows MODELS/models.config, and a worker that asks for the stable model."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    settings = Settings(
        mongo_url=mongo_url,
        mongo_database="test_rollout",
        redis_url=redis_url,
        database_url=f"sqlite:///{tmp_path / 'store.db'}",
        model_label="stable",
        page_size=8,
        state_folder=str(tmp_path / "state"),
    )
    schema.migrate(settings)
    for version, seed in SEEDS.items():
        label = "stable" if version == OLD else None
        publish(run, tiny_classifier(run, seed), tmp_path, settings.model_name, version, settings.database_url, label)
    processes = Processes(tmp_path / "logs")
    serve = [*command("shelver-trainer"), "serve", str(tmp_path), "--port", "0", "--config", str(tmp_path / FILE)]
    address = processes.start("serve", serve).wait_for(r"on (127\.0\.0\.1:\d+): shelver 1")[1]
    settings = settings.model_copy(update={"serving_address": address})
    work = [*command("shelver-worker"), "run", "--concurrency", "1"]
    processes.start("worker", work, {**os.environ, **settings.environment()}).wait_for(r"@\S+ ready")
    with closing(Database(settings.database_url)) as database:
        yield Line(settings, tmp_path, database)
    processes.stop()
    with MongoClient(mongo_url) as client:
        client.drop_database(settings.mongo_database)


def share_of(ids: range) -> set[int]:
    return {each for each in ids if place(each) < SHARE}


def test_the_rehearsal(line: Line) -> None:
    """A bad version is found out in the shadow; a good one is tried out, promoted, catches up, and is rolled back."""
    line.list_products(FIRST)
    line.expect((FIRST, OLD))
    assert 5 < len(share_of(FIRST)) < 35

    line.do("trainer", "canary", line.folder, BAD)
    line.do("worker", "rollout", "shadow", "--share", SHARE)
    line.enqueue(FIRST)
    wait_for(lambda: line.predicted(is_latest=False) == {(each, BAD) for each in share_of(FIRST)}, SECONDS)
    line.expect((FIRST, OLD))
    compare = ("worker", "rollout", "report", "--min-products", 5, "--calls", 3, "--max-latency-ratio", 100)
    assert "FAIL" in line.do(*compare, fails=True)

    line.do("trainer", "canary", line.folder, GOOD)
    line.do("worker", "rollout", "canary", "--share", SHARE)
    line.enqueue(FIRST)
    line.list_products(SECOND)
    tried = share_of(FIRST) | share_of(SECOND)
    line.expect(({*FIRST, *SECOND} - tried, OLD), (tried, GOOD))
    assert "PASS" in line.do(*compare)

    promoted = line.do("trainer", "promote", line.folder)
    assert f"stable is version {GOOD}, previous is version {OLD} in" in promoted
    line.do("worker", "rollout", "off")
    line.list_products(THIRD)
    line.expect(({*FIRST, *SECOND} - tried, OLD), (tried | {*THIRD}, GOOD))
    left = len(FIRST) + len(SECOND) - len(tried)
    backfill = ("producer", "backfill", "--predicted-by", OLD)
    assert line.do(*backfill, "--dry-run") == f"{left} products would be enqueued\n"
    assert line.do(*backfill) == f"{left} products enqueued on backfill\n"
    line.expect(({*FIRST, *SECOND, *THIRD}, GOOD))

    back = line.do("trainer", "rollback", line.folder)
    assert f"stable is version {OLD}, previous is version {GOOD} in" in back
    line.do("producer", "backfill", "--predicted-by", GOOD)
    line.expect(({*FIRST, *SECOND, *THIRD}, OLD))

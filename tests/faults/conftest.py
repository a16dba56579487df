"""The catalog, the models and the answers of an undisturbed run, once a session; a line for every case."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import bson
import psycopg
import pytest
import tensorflow as tf
from pymongo import MongoClient

from deploy.local import toy
from deploy.local.processes import Processes
from tests.conftest import create_database, processes_of
from tests.faults import audit, report, servers
from tests.faults.audit import Answers
from tests.faults.line import SHORT, Line
from tests.faults.proxies import ModelProxy, TcpProxy
from tests.faults.servers import Server
from tests.integration.conftest import register, run, tiny_classifier  # noqa: F401 - run is a fixture
from trainer.publishing.publish import publish
from trainer.run import Run
from worker import schema
from worker.contract.dump import CODEC
from worker.contract.settings import Settings

PRODUCTS = 2000
#: version 3 is none of Shelver's
VERSIONS = (1, 2)
UNFIT = 3
MakeLine = Callable[..., Line]
Interpose = Callable[[str], TcpProxy]


@pytest.fixture(scope="session", autouse=True)
def told(request: pytest.FixtureRequest) -> Iterator[None]:
    """The table of cases, when all of them have passed."""
    yield
    if report.CASES and not request.session.testsfailed:
        report.write("cases", report.cases())


@pytest.fixture(scope="session")
def mongo(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A mongod of this suite alone: some cases kill it."""
    return servers.mongo_server(processes, tmp_path_factory.mktemp("faults") / "mongo")


@pytest.fixture(scope="session")
def catalog(mongo: Server, tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """The ids of a toy catalog in MongoDB, every twentieth with the pictures of another."""
    drawn = toy.draw(tmp_path_factory.mktemp("toy"), products=PRODUCTS, listings=0)
    documents = bson.decode_all(drawn.dump.read_bytes(), CODEC)
    settings = Settings(mongo_url=mongo.url)
    with MongoClient(mongo.url) as client:
        client[settings.mongo_database][settings.mongo_collection].insert_many(documents)
    return [int(document["_id"]) for document in documents]


@pytest.fixture(scope="session")
def store(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """An empty SQLite store in which all versions are registered; to be copied."""
    path = tmp_path_factory.mktemp("store") / "store.db"
    _prepare(run, f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres(run: Run, postgres_url: str) -> str:  # noqa: F811
    """An empty PostgreSQL database in which all versions are registered; to be copied. Its server's URL."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE prepared")
    _prepare(run, postgres_url.replace("/postgres?", "/prepared?"))
    return postgres_url


def _prepare(run: Run, url: str) -> None:  # noqa: F811
    settings = Settings(database_url=url)
    schema.migrate(settings)
    for version in (*VERSIONS, UNFIT):
        register(run, settings, version)


@pytest.fixture(scope="session")
def versions(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A folder with versions 1 and 2 of a tiny model, and one of other shapes; to be copied from."""
    folder = tmp_path_factory.mktemp("models")
    url = f"sqlite:///{folder / 'registry.db'}"
    schema.migrate(Settings(database_url=url))
    for version in VERSIONS:
        publish(run, tiny_classifier(run, seed=version), folder, "shelver", version, url)
    module = tf.Module()
    module.double = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    tf.saved_model.save(module, str(folder / "shelver" / str(UNFIT)), signatures=module.double)
    return folder / "shelver"


@pytest.fixture
def models(versions: Path, tmp_path: Path) -> Path:
    """A case's own folder of models, with version 1 in it."""
    return copied(versions, tmp_path / "models", 1)


def copied(versions: Path, models: Path, version: int) -> Path:
    """Put a version into a folder of models, at once."""
    (models / "shelver").mkdir(parents=True, exist_ok=True)
    partial = models / f"partial-{version}"
    shutil.copytree(versions / str(version), partial)
    partial.rename(models / "shelver" / str(version))
    return models


@pytest.fixture(scope="session")
def served(processes: Processes, versions: Path, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server of version 1, for cases that do not break it."""
    return servers.model_server(processes, copied(versions, tmp_path_factory.mktemp("served"), 1))


@pytest.fixture
def proxy(served: Server) -> Iterator[ModelProxy]:
    """A way to version 1 that can be disturbed."""
    proxy = ModelProxy(served.url)
    yield proxy
    proxy.close()


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """No process of a case outlives it: this comes after every other fixture has cleaned up."""
    yield
    left = processes_of(tmp_path)
    for process in left:
        process.kill()
    assert not left, "processes were left behind"


@pytest.fixture
def interpose() -> Iterator[Interpose]:
    """Puts proxies before servers, by their URLs."""
    proxies: list[TcpProxy] = []

    def make(url: str) -> TcpProxy:
        proxies.append(TcpProxy(servers.host_and_port(url)))
        return proxies[-1]

    yield make
    for proxy in proxies:
        proxy.close()


@pytest.fixture
def make_line(
    request: pytest.FixtureRequest,
    catalog: list[int],
    mongo: Server,
    served: Server,
    interpose: Interpose,  # so that workers are stopped before proxies are
    tmp_path: Path,
) -> Iterator[MakeLine]:
    """Makes a case's line, on SQLite or "postgresql"."""
    processes = Processes(tmp_path / "logs")

    def make(kind: str = "sqlite", environment: dict[str, str] | None = None, **changes: object) -> Line:
        return _line(request, processes, tmp_path, kind, environment or {}, changes)

    yield make
    processes.stop()


def _line(
    request: pytest.FixtureRequest,
    processes: Processes,
    folder: Path,
    kind: str,
    environment: dict[str, str],
    changes: dict[str, object],
) -> Line:
    redis = servers.redis_server(processes, folder / "redis")
    url = _copy_of_postgres(request) if kind == "postgresql" else _copy_of_sqlite(request, folder)
    given = {
        "mongo_url": request.getfixturevalue("mongo").url,
        "redis_url": redis.url,
        "database_url": url,
        "serving_address": request.getfixturevalue("served").url,
        "state_folder": str(folder / "state"),
    }
    settings = Settings(**{**SHORT, **given, **changes})
    return Line(request.node.name, settings, folder, processes, redis, url, environment)


def _copy_of_sqlite(request: pytest.FixtureRequest, folder: Path) -> str:
    shutil.copy(request.getfixturevalue("store"), folder / "store.db")
    return f"sqlite:///{folder / 'store.db'}"


def _copy_of_postgres(request: pytest.FixtureRequest) -> str:
    return create_database(request.getfixturevalue("postgres"), "TEMPLATE prepared")


@pytest.fixture
def line(make_line: MakeLine) -> Line:
    """A line on SQLite, straight to every server."""
    return make_line()


@pytest.fixture(scope="session")
def undisturbed(request: pytest.FixtureRequest, served: Server, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What version 1 answers when nothing fails."""
    return _run_undisturbed(request, tmp_path_factory.mktemp("undisturbed"), served)


@pytest.fixture(scope="session")
def undisturbed_by_both(
    request: pytest.FixtureRequest,
    processes: Processes,
    versions: Path,
    undisturbed: Answers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Answers:
    """What both versions answer when nothing fails."""
    folder = tmp_path_factory.mktemp("both")
    server = servers.model_server(processes, copied(versions, folder, 2))
    return undisturbed | _run_undisturbed(request, folder, server)


def _run_undisturbed(request: pytest.FixtureRequest, folder: Path, server: Server) -> Answers:
    processes = Processes(folder / "logs")
    try:
        line = _line(request, processes, folder, "sqlite", {}, {"serving_address": server.url})
        line.start_workers()
        line.enqueue_all(request.getfixturevalue("catalog"))
        audit.settle(line)
    finally:
        processes.stop()
    answers, refused = audit.read(line.database_url)
    assert not refused
    assert len(answers) == PRODUCTS
    return answers

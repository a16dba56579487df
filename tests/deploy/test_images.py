"""The images, as far as a machine without a container engine can prove them: their file sets run, and are no larger."""

import json
import os
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import redis
from pymongo import MongoClient
from sqlalchemy import func, select

from deploy.images import slim
from deploy.images.distributions import PROJECT, TENSORFLOW, CannotBuild, required
from deploy.images.files import File, files
from deploy.local.processes import Processes
from tests.conftest import command, create_database
from tests.deploy.dockerfiles import FOLDER, Dockerfile, read
from tests.integration.conftest import register
from tests.pictures import listing
from trainer.run import Run
from trainer.serve.server import ModelServer
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import predictions

DOCKERFILES = sorted(path.name for path in FOLDER.glob("*.Dockerfile"))
#: those that the slim script fills, and with what
SLIM = [("service.Dockerfile", slim.SERVICE), ("console.Dockerfile", "console")]
EACH = pytest.mark.parametrize("dockerfile", [read(name) for name in DOCKERFILES], ids=DOCKERFILES)
#: imports all of some packages as worker.contract.serving_api does, without TensorFlow, and prints where from
LOADED = """
import importlib, importlib.util, json, pkgutil, sys, types
bare = types.ModuleType("tensorflow")
bare.__path__ = list(importlib.util.find_spec("tensorflow").submodule_search_locations)
sys.modules["tensorflow"] = bare
for name in sys.argv[1:]:
    for each in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
        if not each.name.endswith("__main__"):
            importlib.import_module(each.name)
print(json.dumps([module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)]))
"""


@dataclass(frozen=True)
class Environment:
    """The file set of the image of workers and producers, and a folder to run it from."""

    folder: Path
    home: Path
    files: dict[str, list[File]]

    def variables(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return what a process gets, which is nothing of ours.

        The image is compiled when it is built, and nothing is written into it; here, each module when first imported.
        """
        path = f"{self.folder / 'bin'}:/usr/bin:/bin"
        compiled = self.folder.with_name("compiled")
        return {"PATH": path, "HOME": str(self.home), "PYTHONPYCACHEPREFIX": str(compiled), **settings}

    def run(self, *words: str, settings: Mapping[str, str] | None = None) -> str:
        """Run a command of it, from an empty folder; return what it prints. It must succeed."""
        ran = subprocess.run(
            [self.folder / "bin" / words[0], *words[1:]],
            env=self.variables(settings or {}),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The file set, made as the Dockerfile makes it."""
    folder = tmp_path_factory.mktemp("image")
    found = files(required(slim.SERVICE.split(",")))
    slim.build(folder / "shelver", found)
    (folder / "home").mkdir()
    return Environment(folder / "shelver", folder / "home", found)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Processes]:
    """Processes of one test: a worker that stays would take the pages of the tests after it."""
    processes = Processes(tmp_path)
    yield processes
    processes.stop()


@pytest.fixture(scope="module")
def settings(
    mongo_url: str,
    redis_url: str,
    postgres_url: str,
    model_server: ModelServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Settings]:
    """Settings of a line whose servers are real and empty."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    line = Settings(
        mongo_url=mongo_url,
        mongo_database=f"test_{uuid.uuid4().hex}",
        redis_url=redis_url,
        database_url=create_database(postgres_url),
        serving_address=model_server.address,
        state_folder=str(tmp_path_factory.mktemp("state")),
    )
    yield line
    with MongoClient(line.mongo_url) as client:
        client.drop_database(line.mongo_database)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_finds_nothing(name: str) -> None:
    """Nothing that the linter of Dockerfiles knows to be a mistake."""
    linted = subprocess.run([*command("hadolint"), FOLDER / name], capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout


@EACH
def test_an_image_runs_as_nobody_in_particular(dockerfile: Dockerfile) -> None:
    """A user with a number, which Kubernetes can tell from root; no shell before the command, which gets the signal."""
    assert dockerfile.last("USER") == "10001:10001"
    assert dockerfile.last("STOPSIGNAL") == "SIGTERM"
    assert isinstance(json.loads(dockerfile.last("ENTRYPOINT")), list)
    assert isinstance(json.loads(dockerfile.last("CMD")), list)
    assert dockerfile.healthcheck or dockerfile.last("HEALTHCHECK") == "NONE"


@EACH
def test_an_image_is_made_of_what_is_pinned(dockerfile: Dockerfile) -> None:
    """A base with its version, our constraints, and a last stage that has one folder of the first."""
    assert dockerfile.arguments["BASE"] == "python:3.11-slim-bookworm"
    assert dockerfile.all("FROM") == ["${BASE} AS build", "${BASE}"]
    assert "PIP_CONSTRAINT=/project/constraints.txt" in dockerfile.all("ENV")
    assert dockerfile.arguments["VERSION"] == PROJECT.version
    assert dockerfile.final("COPY") == ["--from=build /opt/shelver /opt/shelver"]


@EACH
def test_the_context_has_what_is_copied_and_nothing_else(dockerfile: Dockerfile) -> None:
    """Neither a dump nor a .env gets near an image; every package of the wheel does."""
    *allowed, compiled, hidden = [line for line in Path(".dockerignore").read_text().splitlines() if line[:1] != "#"]
    copied = [word for line in dockerfile.all("COPY") if "--from" not in line for word in line.split()[:-1]]
    assert allowed == ["*", *(f"!{name}" for name in copied)]
    assert (compiled, hidden) == ("**/__pycache__", "**/.*")
    assert [name for name in copied if not Path(name).exists()] == []
    wheel = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {Path(name) for name in wheel["packages"]} <= {Path(name) for name in copied}


@pytest.mark.parametrize(("name", "extras"), SLIM)
def test_an_image_is_filled_for_its_role(name: str, extras: str) -> None:
    """By default with the extras of its commands; each of them can be installed."""
    assert read(name).arguments["EXTRAS"] == extras
    found = files(required(extras.split(",")))
    assert {"celery", "numpy", "shelver", TENSORFLOW} <= set(found)
    assert not {"keras", "h5py", "tensorboard", "trainer"} & set(found)


def test_tensorflow_is_not_in_it_but_for_messages(image: Environment) -> None:
    """Of the 1.3 GB exactly the modules that the stubs load: all are needed, and none is missing."""
    packages = next(image.folder.glob("lib/python3*/site-packages"))
    there = {str(path) for path in (packages / TENSORFLOW).rglob("*") if path.is_file()}
    assert there
    assert all(name.endswith("_pb2.py") for name in there)
    loaded = json.loads(image.run("python", "-c", LOADED, "tensorflow_serving"))
    assert {name for name in loaded if name.startswith(f"{packages / TENSORFLOW}/")} == there
    assert not list(packages.glob("tensorflow-*"))


def test_everything_of_it_comes_from_it(image: Environment) -> None:
    """Every module of workers and producers can be imported, and none from the environment that it was copied from."""
    loaded = json.loads(image.run("python", "-c", LOADED, "worker", "producer", "migrations.versions"))
    ours = sum("/worker/" in name or "/producer/" in name for name in loaded)
    assert ours > 100
    homes = (f"{image.folder}/", f"{Path(sys.base_prefix).resolve()}/")
    assert [name for name in loaded if not str(Path(name).resolve()).startswith(homes)] == []


def test_it_has_our_commands_and_no_others(image: Environment) -> None:
    """The trainer's would fail there, and pip has nothing to do in an image."""
    names = {path.name for path in (image.folder / "bin").iterdir() if os.access(path, os.X_OK)}
    assert {name for name in names if not name.startswith("python")} == {"shelver-worker", "shelver-producer"}
    assert "backfill" in image.run("shelver-producer", "--help")
    assert "exporter" in image.run("shelver-worker", "--help")


def test_a_worker_of_it_classifies(image: Environment, settings: Settings, run: Run, started: Processes) -> None:
    """The line on real servers: migrated, enqueued, predicted, looked at, from nothing but the image's files."""
    before = snapshot(image)
    variables = settings.environment()
    assert "is at schema" in image.run("shelver-worker", "migrate", settings=variables)
    register(run, settings)
    with MongoClient(settings.mongo_url) as client:
        client[settings.mongo_database][settings.mongo_collection].insert_one(listing(1))
    # `env -C` starts it elsewhere, so that the folder of the project is not looked into.
    start = ["env", "-C", str(image.home), str(image.folder / "bin" / "shelver-worker"), "run", "--concurrency", "1"]
    worker = started.start("image-worker", start, image.variables(variables))
    worker.wait_for(r"@\S+ ready")
    image.run("python", "-c", "from producer import enqueue; enqueue(1)", settings=variables)
    await_prediction(settings, worker.log)
    assert "alive" in image.run("shelver-worker", "live", settings=variables)
    assert "1  predicted" in image.run("shelver-worker", "show", "1", settings=variables)
    parent = psutil.Process(worker.process.pid)
    for process in (parent, *parent.children(recursive=True)):
        mapped = Path(f"/proc/{process.pid}/maps").read_text()
        assert str(image.folder) in mapped
        assert str(Path.cwd()) not in mapped
    assert (snapshot(image), list(image.home.iterdir())) == (before, [])


def test_the_service_of_it_answers(image: Environment, settings: Settings, started: Processes) -> None:
    """Over HTTP, and to the probe that stands in for curl, which fails when the server says no or is not there."""
    variables = settings.environment()
    image.run("shelver-worker", "migrate", settings=variables)
    start = ["env", "-C", str(image.home), str(image.folder / "bin" / "shelver-producer"), "api", "--port", "0"]
    api = started.start("image-api", start, image.variables(variables))
    url = api.wait_for(r"listening on (http://\S+),")[1]
    image.run("python", "-m", "deploy.images.answers", f"{url}/health")
    for address in (f"{url}/listings/1x", "http://127.0.0.1:1/"):
        with pytest.raises(AssertionError, match="does not answer"):
            image.run("python", "-m", "deploy.images.answers", address)


@pytest.mark.parametrize(("extras", "told"), [(["trainer"], "TensorFlow itself"), (["worker", "x"], "x is no extra")])
def test_what_cannot_be_slim_is_told(extras: list[str], told: str) -> None:
    """In one sentence, before anything is copied."""
    with pytest.raises(CannotBuild, match=told):
        required(extras)


def test_nothing_is_mixed_with_what_is_there(tmp_path: Path) -> None:
    """A folder that holds something is left alone."""
    (tmp_path / "file").touch()
    with pytest.raises(CannotBuild, match="is not empty"):
        slim.build(tmp_path, {})


def snapshot(image: Environment) -> set[tuple[str, int]]:
    """Return all files of the image, and when each was changed."""
    return {(str(path), path.lstat().st_mtime_ns) for path in image.folder.rglob("*")}


def await_prediction(settings: Settings, log: Path, seconds: float = 60) -> None:
    """Return when there is one."""
    database = Database(settings.database_url)
    deadline = time.monotonic() + seconds
    try:
        while True:
            with database.begin() as connection:
                if connection.scalar(select(func.count()).select_from(predictions)):
                    return
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
    finally:
        database.close()

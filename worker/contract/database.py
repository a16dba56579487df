"""A connection pool to the SQL store whose errors say which server it was and what to do."""

import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Engine,
    any_,
    bindparam,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.types import TypeEngine

from worker.contract.errors import Unavailable
from worker.contract.urls import redact

#: how long a writer waits for another before it counts as unavailable
LOCK_TIMEOUT_SECONDS = 15
CONNECT_TIMEOUT_SECONDS = 5
#: after which a server that has vanished without a word is looked for, and given up
SILENCE_SECONDS = 20
#: how long one statement of a reader may take: an analyst would have given up
READ_TIMEOUT_SECONDS = 30
#: how any number of them travels as one parameter, by dialect
NUMBERS: dict[str, TypeEngine[Any]] = {"sqlite": JSON(), "postgresql": ARRAY(BigInteger)}


class NoFile(sqlite3.OperationalError):
    """The SQLite file that the store would be is not there."""


class Database:
    """The SQL store. Build it after fork: a pool does not survive one."""

    def __init__(self, url: str, read_only: bool = False, read_seconds: float = READ_TIMEOUT_SECONDS):
        self.address = redact(url)
        self.engine = make_engine(url, read_only, read_seconds=read_seconds)
        # The driver's own, which passes SQLAlchemy by where its cursor is used directly.
        self._driver_error: type[Exception] = self.engine.dialect.loaded_dbapi.Error

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Give a connection and commit at the end; raises Unavailable for every error that the server tells.

        Every one, because no page may be lost over any: a constraint that does not hold is mended on the server
        (or by a migration) too, and the page waits for it. An error of our own making passes as it is.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except (DBAPIError, PoolTimeout, self._driver_error) as error:
            raise Unavailable(f"{self.address} fails (SHELVER_DATABASE_URL): {cause(error)}") from error

    @contextmanager
    def begin_writing(self) -> Iterator[Connection]:
        """Do the same for who writes by what it has read: on SQLite nobody else writes meanwhile, readers go on.

        There FOR UPDATE is nothing, and the driver begins a transaction no sooner than at its first write.
        """
        with self.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    def close(self) -> None:
        """Close the pool."""
        self.engine.dispose()


def make_engine(
    url: str, read_only: bool = False, may_create: bool = False, read_seconds: float = READ_TIMEOUT_SECONDS
) -> Engine:
    """Return an engine; parameters never show in its errors. The server itself refuses writes of one that only reads.

    SQLite writes ahead (readers never wait), checks foreign keys and syncs every commit, so that a stored
    prediction outlives a power cut as it does on PostgreSQL. It makes a file only where it `may_create` one.
    """
    if make_url(url).get_backend_name() == "postgresql":
        options = f"-c lock_timeout={LOCK_TIMEOUT_SECONDS}s -c timezone=UTC"
        if read_only:
            options += f" -c default_transaction_read_only=on -c statement_timeout={round(1000 * read_seconds)}ms"
        silence = {"keepalives_idle": SILENCE_SECONDS, "tcp_user_timeout": 1000 * SILENCE_SECONDS}
        arguments = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, "options": options, **silence}
        return create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=arguments)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": LOCK_TIMEOUT_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    if not may_create:
        event.listen(engine, "do_connect", _refuse_missing)
    if read_only:
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only=ON"))
    return engine


@contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Send statements without a wait for their answers: PostgreSQL works while the next one is put together.

    None may ask for rows. What fails is raised by a later one or at the end, at the latest.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    try:
        with driver.pipeline():
            yield
    finally:
        if driver.broken:
            connection.invalidate()  # else SQLAlchemy would roll back, and that fails with another error


def among(connection: Connection, column: Column[int], numbers: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition that `column` is one of `numbers`, however many: they travel as one parameter."""
    dialect = connection.dialect.name
    return _among(dialect, column, bindparam(None, list(numbers), NUMBERS[dialect]))


def among_given(dialect: str, column: Column[int], name: str) -> ColumnElement[bool]:
    """Return the same condition for a statement that is kept: its numbers are a parameter of this name."""
    return _among(dialect, column, bindparam(name, type_=NUMBERS[dialect]))


def _among(dialect: str, column: Column[int], numbers: BindParameter[Any]) -> ColumnElement[bool]:
    if dialect == "sqlite":
        return column.in_(select(func.json_each(numbers).table_valued("value").c.value))
    return column == any_(numbers)


def cause(error: Exception) -> str:
    """Return the driver's own first line, with the remedy where there is one."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]
    missing = any(each in lines[0] for each in ("no such table", "no such column", "there is no file")) or (
        "does not exist" in lines[0] and any(each in lines[0] for each in ("relation", "column"))
    )
    slow = "statement timeout" in lines[0]
    remedy = "; run shelver-worker migrate" if missing else "; ask about less, of a shorter time" if slow else ""
    return lines[0][:300] + remedy


def _refuse_missing(_: object, __: object, arguments: Sequence[Any], ___: object) -> None:
    """SQLite makes a file of any name that it is told, which is no help to who has mistyped one."""
    path = str(arguments[0])
    if path != ":memory:" and not path.startswith("file:") and not Path(path).exists():
        raise NoFile(f"there is no file {path}")


def _prepare_sqlite(connection: Any, _: object) -> None:
    # SQLite may be built without; that within TensorFlow is, and takes over in a process that imports it first.
    connection.create_function("ln", 1, _ln, deterministic=True)
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _ln(number: float | None) -> float | None:
    return math.log(number) if number is not None and number > 0 else None

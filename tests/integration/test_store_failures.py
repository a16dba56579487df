"""A page that fails on its way into the store, at whichever statement: PostgreSQL is sent the next ones before."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
import sqlalchemy.exc
from sqlalchemy import Connection, delete, text, update

from tests.conftest import create_database
from tests.integration.conftest import migrated
from tests.integration.test_store import RANKED, count, outcome
from trainer.run import Run
from worker.contract import database as contract
from worker.contract.database import Database
from worker.contract.errors import Unavailable
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import Settings
from worker.contract.tables import candidates, predictions, rejects
from worker.outcome import Outcome
from worker.store import Store

#: after so many executions on a connection the driver prepares a statement; a rollback begins anew
PREPARED_AFTER = 6
PATIENCE_SECONDS = 20


@pytest.fixture
def settings(database_url: str, run: Run) -> Settings:
    return migrated(run, database_url)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with closing(Store(settings)) as store:
        yield store


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with closing(Database(settings.database_url)) as database:
        yield database


@pytest.fixture
def postgresql(postgres_url: str, run: Run) -> Settings:
    """A store on PostgreSQL, where writers wait for one another's rows."""
    return migrated(run, create_database(postgres_url))


def test_a_constraint_that_does_not_hold_is_named(store: Store, database: Database, run: Run) -> None:
    """Not what became of the statements behind it; nothing of the page is there, and the next one is stored whole."""
    for stored in range(PREPARED_AFTER):
        for broken in ({"level1": (4242, 1.0)}, {"candidates": [*RANKED, (4242, 0.0)]}):
            page = outcome(run, 3 * stored, 3 * stored + 1)
            page.predictions[1] = replace(page.predictions[1], **broken)
            with pytest.raises(Unavailable, match="(?i)fails .SHELVER_DATABASE_URL.*foreign key constraint"):
                store.save(page)
            assert count(database, predictions) == stored
        store.save(outcome(run, 3 * stored + 2))
    for stored in range(PREPARED_AFTER, 3 * PREPARED_AFTER):
        store.save(outcome(run, 3 * stored))
    with pytest.raises(Unavailable, match="(?i)foreign key constraint"):
        store.save(page)
    store.save(outcome(run, 1))
    assert count(database, candidates) == len(RANKED) * (3 * PREPARED_AFTER + 1)


def test_an_error_of_our_own_passes_and_takes_the_page_back(store: Store, database: Database, run: Run) -> None:
    """A row that cannot be put together is no fault of the server, which has got others by then."""
    store.save(outcome(run, rejected=(Reject(1, Reason.NOT_FOUND, "gone"),)))
    with pytest.raises(AttributeError):
        store.save(outcome(run, 1, rejected=(Reject(2, Reason.NOT_FOUND, None),)))  # type: ignore[arg-type]
    assert (count(database, predictions), count(database, rejects)) == (0, 1)
    store.save(outcome(run, 1))
    assert (count(database, predictions), count(database, rejects)) == (1, 0)


def test_a_lock_is_waited_for_so_long_and_no_longer(
    settings: Settings, database: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds it is told, and the page is stored when it is free."""
    monkeypatch.setattr(contract, "LOCK_TIMEOUT_SECONDS", 1)
    with closing(Store(settings)) as store:
        with database.begin_writing() as other:
            other.execute(delete(candidates))
            if other.dialect.name == "postgresql":
                other.execute(text("LOCK TABLE candidates"))  # which is written after predictions
            with pytest.raises(Unavailable, match="lock timeout|database is locked"):
                store.save(outcome(run, 1))
        assert count(database, predictions) == 0
        store.save(outcome(run, 1))
    assert count(database, candidates) == len(RANKED)


def test_a_deadlock_takes_one_page_back(postgresql: Settings, run: Run) -> None:
    """The server picks who waited first; a second time the page is stored."""

    def cross(other: Connection) -> None:
        other.execute(update(predictions).where(predictions.c.product_id == 1).values(score=0.0))

    with closing(Store(postgresql)) as store:
        store.save(outcome(run, 1, 2))
        lock = update(predictions).where(predictions.c.product_id == 2).values(score=0.0)
        error = _save_amid(postgresql, store, outcome(run, 1, 2), lock, cross)
        assert isinstance(error, Unavailable)
        assert "deadlock detected" in str(error)
        store.save(outcome(run, 1, 2))


def test_a_connection_that_ends_amid_a_page_is_replaced(postgresql: Settings, run: Run) -> None:
    """As when the server is stopped: what has been sent is taken back, and the page is stored a second time."""

    def end(other: Connection) -> None:
        other.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND relation = 'candidates'::regclass"
            )
        )

    with closing(Store(postgresql)) as store, closing(Database(postgresql.database_url)) as database:
        error = _save_amid(postgresql, store, outcome(run, 1, 2), text("LOCK TABLE candidates"), end)
        assert isinstance(error, Unavailable)
        assert "server closed the connection" in str(error)
        assert count(database, predictions) == 0
        store.save(outcome(run, 1, 2))
        assert count(database, candidates) == 2 * len(RANKED)


def _save_amid(
    settings: Settings, store: Store, page: Outcome, lock: sqlalchemy.Executable, then: Callable[[Connection], None]
) -> BaseException | None:
    """Save a page while another transaction has a lock that it needs, and does something once it waits."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with closing(Database(settings.database_url)) as database, ThreadPoolExecutor(1) as pool:
        with database.begin() as other:
            other.execute(lock)
            saved = pool.submit(store.save, page)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not other.scalar(waiting):
                assert time.monotonic() < deadline, "it does not wait"
                time.sleep(0.01)
            then(other)
        return saved.exception(PATIENCE_SECONDS)


def test_a_shorter_answer_leaves_nothing_of_a_longer_one(store: Store, database: Database, run: Run) -> None:
    """What the model ranked beyond it was of other pictures."""
    store.save(outcome(run, 1, 2))
    page = outcome(run, 1)
    page.predictions[0] = replace(page.predictions[0], candidates=RANKED[:1])
    store.save(page)
    assert count(database, candidates) == 1 + len(RANKED)

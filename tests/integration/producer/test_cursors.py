"""One process at a time moves a position, on either database, whatever their clocks say."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64
from bson.objectid import ObjectId
from sqlalchemy import select, update

from producer import cursors as module
from producer.cursors import Cursor, CursorLost
from producer.holders import this_machine
from worker import schema
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import cursors

Make = Callable[..., Cursor]


@pytest.fixture
def settings(database_url: str) -> Settings:
    """A migrated store."""
    settings = Settings(database_url=database_url)
    schema.migrate(settings)
    return settings


@pytest.fixture
def make(settings: Settings) -> Iterator[Make]:
    """Cursors of the same name, each as if in a process of its own on another machine."""
    made: list[Cursor] = []

    def one(name: str = "a") -> Cursor:
        cursor = Cursor(settings, name)
        cursor._me = f"machine-{len(made)}:1:{len(made)}"
        made.append(cursor)
        return cursor

    yield one
    for each in made:
        each.close()


def test_a_position_is_kept_as_it_was(make: Make) -> None:
    """Whatever BSON can say, and nothing before the first is written."""
    position = {"token": b"\x00\xff", "order": ObjectId(), "at": datetime(2026, 1, 2), "id": Int64(2**60)}
    position |= {"far": DatetimeMS(10**15)}
    first = make()
    assert first.take()
    assert first.position is None
    first.write(position)
    first.release()
    second = make()
    assert second.take()
    assert second.position == position


def test_who_holds_it_keeps_it_while_it_lives(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign of life each second is enough; without one, another takes over, and the first can write no more."""
    monkeypatch.setattr(module, "LEASE_SECONDS", 0.6)
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.1)
    first, second = make(), make()
    assert first.take()
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        first.check()
        assert not second.take()
        time.sleep(0.05)
    assert second.holder == "machine-0:1:0"
    assert not second.wait(threading.Event())
    first._stop_beating()
    assert second.wait(threading.Event())
    second.write(2)
    for attempt in (lambda: first.write(1), first._update, first.check):
        with pytest.raises(CursorLost, match="another process has taken over a"):
            attempt()
    first.release()  # is not its own any more
    assert not make().take()
    assert second.position == 2


def test_a_holder_that_lets_go_is_followed_at_once(make: Make) -> None:
    """Released or forgotten: the first with its position, the second without."""
    first, second = make(), make()
    assert first.take()
    first.write("here")
    assert not second.take()
    first.release()
    assert second.take()
    assert second.position == "here"
    second.forget()
    assert first.take()
    assert first.position is None


def test_of_many_at_once_one_takes_it(make: Make) -> None:
    """However they race, for a new cursor as for one that was let go."""
    for _ in range(3):
        racers = [make() for _ in range(8)]
        begin = threading.Barrier(len(racers))
        taken: list[Cursor] = []

        def race(each: Cursor, begin: threading.Barrier = begin, taken: list[Cursor] = taken) -> None:
            begin.wait()
            if each.take():
                taken.append(each)

        threads = [threading.Thread(target=race, args=(each,)) for each in racers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 1
        taken[0].write("kept")
        taken[0].release()


def test_a_holder_that_died_here_is_followed_at_once(settings: Settings, make: Make) -> None:
    """The number of a process that is no more, on this machine: a restart after a crash does not wait."""
    first = make()
    first._me = f"{this_machine()}:4194999:x"  # above the highest number that Linux gives
    assert first.take()
    second = make()
    assert second.take()
    third = Cursor(settings, "a")
    assert not third.take()
    third.close()


def test_names_of_any_length(settings: Settings, make: Make) -> None:
    """A database and a collection may have longer names than the column."""
    long = [make("watch:" + "x" * 200 + end) for end in "ab"]
    assert all(each.take() for each in long)
    database = Database(settings.database_url)
    with database.begin() as connection:
        assert len(set(connection.scalars(select(cursors.c.name)))) == 2
        connection.execute(update(cursors).values(holder=None))
    database.close()

"""Where a producer goes on after a restart, and which of several may: kept in SQL beside the predictions."""

import hashlib
import json
import threading
import time
from datetime import UTC, datetime
from typing import Any

from bson import json_util
from bson.codec_options import DatetimeConversion
from bson.json_util import JSONMode, JSONOptions
from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from producer.holders import is_dead, new_holder
from worker.contract.database import Database
from worker.contract.errors import ShelverError, Unavailable
from worker.contract.settings import Settings
from worker.contract.tables import cursors

#: a holder that gives no sign of life for so long is replaced
LEASE_SECONDS = 5
BEAT_SECONDS = 1
#: what cannot be a Python date stays what it is
AS_STORED = JSONOptions(json_mode=JSONMode.RELAXED, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
#: cursors.name holds no more
LONGEST_NAME = 100


class CursorLost(ShelverError):
    """Another process holds the cursor now: this one was silent for too long."""


class Cursor:
    """One named position, any BSON value, that one process at a time may move.

    A holder shows that it lives by a number that grows; whoever waits looks for how long that number stands still, on
    a clock of its own, so that no two clocks are ever compared. The number is counted up by a thread: a query that
    takes minutes is no death, while a process that is frozen or killed falls silent as a whole. A holder that was taken
    for dead cannot move the position any more. All methods raise Unavailable when the database fails.
    """

    def __init__(self, settings: Settings, name: str):
        self._database = Database(settings.database_url)
        self._name = name
        self._key = _key(name)
        self._row = cursors.c.name == self._key
        self._me = new_holder()
        self._seen: tuple[str | None, int] | None = None
        self._seen_at = 0.0  # on the monotonic clock
        self._beating: threading.Thread | None = None
        self._released = threading.Event()
        self._is_lost = False
        #: who held it when `take` last failed: MACHINE:PROCESS:RANDOM
        self.holder: str | None = None
        #: as stored; None when there is none yet
        self.position: Any = None

    def take(self) -> bool:
        """Become the holder and read the position, if nobody else is or if who was has been silent; say whether."""
        with self._database.begin() as connection:
            row = connection.execute(select(cursors).where(self._row)).one_or_none()
        if row is None:
            self._create()
            return self.take()
        seen = (row.holder, row.beat)
        if seen != self._seen:
            self._seen, self._seen_at = seen, time.monotonic()
        self.holder = row.holder
        is_silent = time.monotonic() - self._seen_at >= LEASE_SECONDS
        if row.holder not in (None, self._me) and not is_silent and not is_dead(row.holder):
            return False
        same = cursors.c.holder.is_not_distinct_from(row.holder) & (cursors.c.beat == row.beat)
        with self._database.begin() as connection:
            taken = connection.execute(
                update(cursors).where(self._row, same).values(holder=self._me, beat=row.beat + 1)
            ).rowcount
        if taken:
            self.position = json_util.loads(json.dumps(row.position), json_options=AS_STORED)
            self._start_beating()
        return bool(taken)

    def wait(self, stopped: threading.Event) -> bool:
        """Take it, waiting until whoever holds it shows that it lives, or turns out to be dead; say whether it did."""
        shown = None
        while not self.take():
            if shown not in (None, self._seen) or stopped.wait(BEAT_SECONDS / 2):
                return False
            shown = self._seen
        return True

    def write(self, position: Any) -> None:
        """Store the position; raises CursorLost when another process has become the holder."""
        self._update(
            position=json.loads(json_util.dumps(position, json_options=AS_STORED)), updated_at=datetime.now(UTC)
        )
        self.position = position

    def check(self) -> None:
        """Raise CursorLost when another process is known to have become the holder."""
        if self._is_lost:
            raise CursorLost(f"another process has taken over {self._name}: this one was silent for too long")

    def release(self) -> None:
        """Let others take it at once."""
        self._stop_beating()
        with self._database.begin() as connection:
            connection.execute(update(cursors).where(self._row, cursors.c.holder == self._me).values(holder=None))

    def forget(self) -> None:
        """Remove it, position and all: what it was for is done."""
        self._stop_beating()
        with self._database.begin() as connection:
            connection.execute(delete(cursors).where(self._row, cursors.c.holder == self._me))

    def close(self) -> None:
        """Close the pool. Who has not released it before is taken for dead after a while."""
        self._stop_beating()
        self._database.close()

    def _create(self) -> None:
        values = {"name": self._key, "position": None, "updated_at": datetime.now(UTC)}
        insert = postgresql.insert if self._database.engine.dialect.name == "postgresql" else sqlite.insert
        with self._database.begin() as connection:
            connection.execute(insert(cursors).values(values).on_conflict_do_nothing())

    def _update(self, **values: Any) -> None:
        with self._database.begin() as connection:
            mine = update(cursors).where(self._row, cursors.c.holder == self._me)
            if not connection.execute(mine.values(beat=cursors.c.beat + 1, **values)).rowcount:
                self._is_lost = True
        self.check()

    def _start_beating(self) -> None:
        self._stop_beating()
        self._is_lost = False
        self._released.clear()
        self._beating = threading.Thread(target=self._beat, name="beat", daemon=True)
        self._beating.start()

    def _stop_beating(self) -> None:
        self._released.set()
        if self._beating is not None:
            self._beating.join()
            self._beating = None

    def _beat(self) -> None:
        while not self._released.wait(BEAT_SECONDS):
            try:
                self._update()
            except Unavailable:
                continue  # whoever works with the position is told, too
            except CursorLost:
                return


def _key(name: str) -> str:
    """Return the name so that it fits its column."""
    if len(name) <= LONGEST_NAME:
        return name
    return name[: LONGEST_NAME - 33] + "-" + hashlib.blake2b(name.encode(), digest_size=16).hexdigest()

"""Restore a BSON dump into the catalog's collection; a load that was stopped goes on where it was."""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict

from pymongo.errors import OperationFailure

from producer.cursors import BEAT_SECONDS, Cursor
from producer.dumps.insertion import Inserted, insert, raw
from producer.dumps.loaded import Loaded, LoadError
from producer.dumps.portion import Batch, Portion
from producer.listings import Listings
from worker.contract.dump import DumpError
from worker.contract.errors import ShelverError
from worker.contract.settings import Settings

#: batches that MongoDB works at while the next is read: two are a fifth faster than one, and more gain nothing
INSERTERS = 2
LOOK_SECONDS = 0.1
NAMESPACE_EXISTS = 48


class _StoppedError(Exception):
    """Whoever started the load wants it to end."""


class Load:
    """A load of one portion of one dump into one collection; no two at a time."""

    def __init__(self, listings: Listings, settings: Settings, portion: Portion, stopped: threading.Event):
        self._listings = listings
        self._portion = portion
        self._stopped = stopped
        self._collection = _identity(listings)
        self._cursor = Cursor(settings, f"load:{listings.full_name}:{portion.name}")
        self._kept_at = self._looked_at = -1.0 * BEAT_SECONDS  # the first time at once
        self._place = 0  # in the file
        self.loaded = Loaded()
        #: where the dump ended before its time
        self.damage: DumpError | None = None

    def begin(self, restart: bool = False) -> None:
        """Find out where to go on, or forget it.

        Raises LoadError when another process is at it, Unavailable when the SQL store cannot say, and
        KeyboardInterrupt when it is stopped before it knows.
        """
        if not self._cursor.wait(self._stopped):
            if self._stopped.is_set():
                raise KeyboardInterrupt
            machine, process, _ = (self._cursor.holder or "?:?:").split(":")
            host = machine.partition("/")[0]
            raise LoadError(f"process {process} on {host} loads {self._portion.path} already: wait for it, or stop it")
        position = dict(self._cursor.position or {})
        # The collection may have been dropped since: another one of its name has another identity.
        if position.pop("collection", None) == self._collection and not restart:
            self.loaded = Loaded(**position)

    def run(self, show: Callable[[int], object] = lambda place: None) -> bool:
        """Insert what is left, as the bytes it is; say whether that is all, and not what was done until a stop.

        Documents whose _id is there already are left alone. `show` is told how many bytes of the file were read. What
        stands before damage is inserted, and what stands beside documents that MongoDB refuses: see `loaded` and
        `damage`. Raises MongoDB's errors, Unavailable and CursorLost; what was done is not done again next time.
        """
        try:
            is_whole = self._insert_all(show)
            if is_whole:
                self._cursor.forget()
            return is_whole
        finally:
            with suppress(ShelverError):  # whatever ends it is told; after `forget` this does nothing
                self._keep()
                self._cursor.release()

    def close(self) -> None:
        """Close the connection to the SQL store."""
        self._cursor.close()

    def _insert_all(self, show: Callable[[int], object]) -> bool:
        listings, inserting = raw(self._listings), deque[tuple[Batch, Future[Inserted]]]()
        batches = self._portion.batches(self.loaded.offset, self.loaded.count, lambda place: self._look(place, show))
        is_whole = True
        with ThreadPoolExecutor(INSERTERS) as pool:
            try:
                for batch in batches:
                    inserting.append((batch, pool.submit(insert, listings, batch.documents)))
                    if len(inserting) > INSERTERS:
                        self._settle(*inserting.popleft())
            except _StoppedError:
                is_whole = False
            except DumpError as error:
                self.damage = error
            while inserting:
                self._settle(*inserting.popleft())
        show(self._place)
        return is_whole

    def _settle(self, batch: Batch, inserted: Future[Inserted]) -> None:
        """Count a batch when it is in; batches come in order, so that what is before the position is done."""
        self.loaded.add(batch, inserted.result())
        if time.monotonic() - self._kept_at >= BEAT_SECONDS:
            self._keep()

    def _keep(self) -> None:
        self._cursor.write({"collection": self._collection, **asdict(self.loaded)})
        self._kept_at = time.monotonic()

    def _look(self, place: int, show: Callable[[int], object]) -> None:
        self._place = place
        if self._stopped.is_set():
            raise _StoppedError
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = time.monotonic()
            self._cursor.check()
            show(place)


def _identity(listings: Listings) -> str | None:
    """Return what no later collection of that name has; make the collection where there is none."""
    database = listings.database
    try:
        database.create_collection(listings.name, check_exists=False)
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:
            raise
    identities = [each["info"].get("uuid") for each in database.list_collections(filter={"name": listings.name})]
    return bytes(identities[0]).hex() if identities and identities[0] else None

"""Enqueue what is in the catalog already: in order, politely, and from where it was when it is run again."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import dropwhile
from typing import Any

from pymongo import ASCENDING

from producer.cursors import BEAT_SECONDS, Cursor
from producer.filling.backlog import Backlog
from producer.listings import Filter, Listings, ListingsError, key_of
from worker.contract.errors import ShelverError, Unavailable
from worker.contract.fields import value_at
from worker.contract.product import ProductId, to_product_id

logger = logging.getLogger("producer")

#: ids that a query fetches: a few hundred kilobytes
FETCH = 10_000
RETRY_SECONDS = 2

#: where in the source an id stands, and the id
Block = Sequence[tuple[Any, ProductId]]
Source = Callable[[Any], Iterator[Block]]
Wanted = Callable[[ProductId], bool]


def blocks(listings: Listings, path: str, where: Filter, bounds: Filter, after: Any = None) -> Iterator[Block]:
    """Yield the ids at `path` of the listings that match, in order, from behind `after` on.

    Each block is a query of its own: MongoDB drops cursors that wait for long. Without `bounds`, which are numbers,
    ids of all kinds come one kind after the other, as in MongoDB's order.
    """
    shown = {path: 1} if path == "_id" else {path: 1, "_id": 0}
    exists: Filter = {} if path == "_id" else {path: {"$ne": None}}
    while True:
        within = {path: {**bounds, "$gt": after}} if bounds and after is not None else {path: bounds} if bounds else {}
        found = listings.find({"$and": [within, exists, where]}, shown, sort=[(path, ASCENDING)], limit=FETCH)
        found = found.hint([(path, ASCENDING)])
        if after is not None and not bounds:
            found = found.min([(path, after)])  # a bound by $gt would keep to ids of the same kind
        values = [value_at(document, path) for document in found]
        fresh = [(value, to_product_id(value)) for value in _behind(after, values)]
        if fresh:
            yield fresh
            after = fresh[-1][0]
            if after is None or isinstance(after, list):
                raise ListingsError(f"a listing of {listings.full_name} has several {path}, in an array: give it one")
        elif len(values) == FETCH:
            raise ListingsError(f"{FETCH:,} listings of {listings.full_name} have {path} {after}: ids must be unique")
        if len(values) < FETCH:
            return


def _behind(after: Any, values: list[Any]) -> Iterable[Any]:
    return values if after is None else dropwhile(lambda value: _is_same(value, after), values)


def _is_same(one: Any, other: Any) -> bool:
    """Say whether two ids are one to MongoDB, where Python may think otherwise: 1 is not True, and NaN is NaN."""
    if isinstance(one, int) and not isinstance(one, bool):  # an Int64, or not
        return bool(one == other) and not isinstance(other, bool)
    return key_of(one) == key_of(other)


class BackfillError(ShelverError):
    """The backfill cannot be done now."""


@dataclass(slots=True)
class Done:
    """How far a backfill has come."""

    #: where in the source; None at the beginning
    after: Any = None
    #: ids gone through
    scanned: int = 0
    #: of those, put on the queue
    enqueued: int = 0


class Backfill:
    """Goes through a source from a cursor's position and sends what is wanted."""

    def __init__(self, cursor: Cursor, backlog: Backlog, page_size: int, stopped: threading.Event):
        self.done = Done()
        self._cursor = cursor
        self._backlog = backlog
        self._page_size = page_size
        self._stopped = stopped
        self._stored_at = time.monotonic()

    def begin(self, restart: bool = False) -> bool:
        """Find out where to go on, or forget it; False when stopped before that.

        Raises BackfillError when another process is at it, Unavailable when the SQL store does not answer.
        """
        if not self._cursor.wait(self._stopped):
            if self._stopped.is_set():
                return False
            raise BackfillError(
                f"the same backfill is being done by {self._cursor.holder} already: wait for it, or stop it"
            )
        if self._cursor.position and not restart:
            self.done = Done(**self._cursor.position)
        return True

    def run(self, source: Source, make_wanted: Callable[[], Wanted], advance: Callable[[int], None]) -> bool:
        """Send all; say whether that was the end, or a stop, after which the next run goes on.

        What is made to tell which are wanted is asked in the order of the source.

        A server that fails once the work has begun is waited for. Raises Unavailable before that, and CursorLost.
        """
        begun = self.done.scanned
        while True:
            try:
                is_done = self._pass(source(self.done.after), make_wanted(), advance)
                break
            except Unavailable as error:
                if self.done.scanned == begun or self._stopped.is_set():
                    raise
                logger.warning("%s; trying again in %d s", error, RETRY_SECONDS)
                self._stopped.wait(RETRY_SECONDS)
        if is_done:
            self._cursor.forget()
        else:
            self._store()
            self._cursor.release()
        return is_done

    def _pass(self, blocks: Iterable[Block], wanted: Wanted, advance: Callable[[int], None]) -> bool:
        return all(self._send(block, wanted, advance) for block in blocks)

    def _send(self, block: Block, wanted: Wanted, advance: Callable[[int], None]) -> bool:
        kept = [row for row, (_, identity) in enumerate(block) if wanted(identity)]
        sent = 0  # rows of the block
        for start in range(0, len(kept), self._page_size):
            rows = kept[start : start + self._page_size]
            if not self._backlog.send([block[row][1] for row in rows]):
                return False
            self.done.enqueued += len(rows)
            sent = self._reach(block, sent, rows[-1] + 1, advance)
        self._reach(block, sent, len(block), advance)
        return not self._stopped.is_set()

    def _reach(self, block: Block, before: int, rows: int, advance: Callable[[int], None]) -> int:
        if rows > before:
            self.done.after = block[rows - 1][0]
            self.done.scanned += rows - before
            advance(rows - before)
        if time.monotonic() - self._stored_at >= BEAT_SECONDS:
            self._store()
        return rows

    def _store(self) -> None:
        self._cursor.write(asdict(self.done))
        self._stored_at = time.monotonic()


def each_id(blocks: Iterable[Block], stopped: threading.Event) -> Iterator[ProductId]:
    """Yield the ids of blocks, until stopped."""
    for block in blocks:
        if stopped.is_set():
            return
        for _, identity in block:
            yield identity

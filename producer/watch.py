"""Follow the catalog's change stream: a new listing is on the queue within a tenth of a second."""

import logging
import threading
import time
from typing import Any

from pymongo.change_stream import ChangeStream
from pymongo.errors import OperationFailure

from producer.cursors import Cursor
from producer.listings import open_listings
from producer.queue import Pages
from worker.contract.errors import ShelverError, Unavailable
from worker.contract.messages import Page, Queue
from worker.contract.product import ProductId, to_product_id
from worker.contract.settings import Settings
from worker.contract.urls import redact

logger = logging.getLogger("producer")

PICTURES_CHANGED = {
    "$anyElementTrue": {
        "$map": {
            "input": {"$objectToArray": {"$ifNull": ["$updateDescription.updatedFields", {}]}},
            "in": {"$regexMatch": {"input": "$$this.k", "regex": r"^imgs(\.|$)"}},
        }
    }
}
#: what concerns us, and of it only the id, so that pictures do not travel twice
LISTED: list[dict[str, Any]] = [
    {"$match": {"$or": [{"operationType": {"$in": ["insert", "replace"]}}, {"$expr": PICTURES_CHANGED}]}},
    {"$project": {"documentKey": 1}},
]
NOT_A_REPLICA_SET = 40573
#: ChangeStreamHistoryLost, ChangeStreamFatalError, InvalidResumeToken
HISTORY_LOST = (286, 280, 260)
RETRY_SECONDS = 2
#: without this an idle stream's stored position would age out of MongoDB's history
IDLE_POSITION_SECONDS = 30


class WatchError(ShelverError):
    """The change stream cannot be followed, and waiting does not help."""


class Watcher:
    """Turns changes into pages; its position is stored only after the page is on the queue."""

    def __init__(self, settings: Settings, stopped: threading.Event, from_now: bool = False):
        self._settings = settings
        self._stopped = stopped
        self._pages = Pages(settings)
        self._cursor = Cursor(settings, f"watch:{settings.mongo_database}.{settings.mongo_collection}")
        self._from_now = from_now
        self._stored_at = 0.0  # on the monotonic clock

    def run(self) -> None:
        """Follow the stream until stopped; servers that fail are waited for. Raises WatchError."""
        while not self._stopped.is_set():
            try:
                self._follow()
            except Unavailable as error:
                logger.warning("%s; trying again in %d s", error, RETRY_SECONDS)
                self._stopped.wait(RETRY_SECONDS)

    def _follow(self) -> None:
        token = None if self._from_now else self._cursor.read()
        linger_milliseconds = int(self._settings.page_linger_seconds * 1000)
        with open_listings(self._settings) as listings:
            try:
                # start_after goes on behind a dropped or renamed collection too, which resume_after refuses.
                with listings.watch(LISTED, start_after=token, max_await_time_ms=linger_milliseconds) as stream:
                    # From here on nothing is missed, even when the first listing comes after a restart.
                    self._store(stream)
                    self._from_now = False
                    logger.info("watching %s.%s", listings.database.name, listings.name)
                    while stream.alive and not self._stopped.is_set():
                        self._page(stream)
            except OperationFailure as error:
                raise self._explain(error) from error

    def _page(self, stream: ChangeStream[dict[str, Any]]) -> None:
        """Collect ids until the page is full, its first id has waited long enough, or nothing more comes."""
        ids: list[ProductId] = []
        deadline = float("inf")
        while len(ids) < self._settings.page_size and time.monotonic() < deadline:
            change = stream.try_next()  # waits for as long as a page may linger
            if change is None:
                break
            if not ids:
                deadline = time.monotonic() + self._settings.page_linger_seconds
            ids.append(to_product_id(change["documentKey"]["_id"]))
        if ids:
            self._pages.send(Page(tuple(dict.fromkeys(ids)), Queue.NEW))
        if ids or time.monotonic() - self._stored_at > IDLE_POSITION_SECONDS:
            self._store(stream)

    def _store(self, stream: ChangeStream[dict[str, Any]]) -> None:
        if stream.resume_token is not None:
            self._cursor.write(stream.resume_token)
        self._stored_at = time.monotonic()

    def _explain(self, error: OperationFailure) -> Exception:
        place = redact(self._settings.mongo_url)
        if error.code == NOT_A_REPLICA_SET:
            return WatchError(
                f"MongoDB at {place} is not a replica set and has no change streams: start mongod with --replSet and "
                "run rs.initiate() once, or use shelver-producer backfill"
            )
        if error.code in HISTORY_LOST:
            return WatchError(
                f"MongoDB at {place} no longer has the changes since this watcher's last position: run "
                "shelver-producer watch --from-now, then shelver-producer backfill for what was listed in between"
            )
        return error

"""What a watcher has in hand: the way to the queue, and the position that follows what was enqueued."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from producer import metrics
from producer.cursors import Cursor
from producer.listings import Listings, ids_by_key
from producer.metrics import Source
from producer.watching.order import later
from worker.contract.errors import Unavailable
from worker.contract.messages import Page, Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings


class Feed:
    """The position is a resume token of the change stream, and beside it the highest value of the order field.

    That value tells where to go on when there is no change stream, or none that reaches back so far. Methods raise
    Unavailable when a server does not answer, and CursorLost when another watcher has taken over.
    """

    def __init__(self, settings: Settings, stopped: threading.Event, from_now: bool = False):
        self.settings = settings
        self.stopped = stopped
        self.place = f"{settings.mongo_database}.{settings.mongo_collection}"
        self.cursor = Cursor(settings, f"watch:{self.place}")
        #: whether to begin with the next change, whatever is stored
        self.from_now = from_now
        self.token: Any = None
        self.order: Any = None
        self._pages = Pages(settings)
        self._stored_at = 0.0  # on the monotonic clock

    def restore(self) -> bool:
        """Go back to the stored position; say whether there is one."""
        position = None if self.from_now else self.cursor.position
        self.token, self.order = (position or {}).get("token"), (position or {}).get("order")
        return position is not None

    def enqueue(self, listings: Listings, keys: Sequence[Any], queue: Queue, listed_at: float | None = None) -> int:
        """Put the documents with these _id on the queue, as a page; return how many are products that count.

        `listed_at` is when the oldest of them was listed, in seconds since the epoch, where that is known.
        """
        ids = ids_by_key(listings, self.settings, keys) if keys else []
        if ids:
            page = Page(tuple(ids), queue, listed_at=listed_at)
            self._pages.send(page)
            metrics.enqueued(page, Source.WATCH if queue is Queue.NEW else Source.CATCH_UP)
        return len(ids)

    def saw(self, value: Any) -> None:
        """Remember a value of the order field, to be stored with the next position."""
        self.order = later(self.order, value)

    def store(self, token: Any = None) -> None:
        """Store the position; without a token, the last one stays."""
        self.token = token or self.token
        self.cursor.write({"token": self.token, "order": self.order})
        self._stored_at = time.monotonic()
        self.from_now = False

    @property
    def stored_seconds_ago(self) -> float:
        """How old the stored position is."""
        return time.monotonic() - self._stored_at

    def close(self) -> None:
        """Let others take over at once."""
        with suppress(Unavailable):
            self.cursor.release()
        self.cursor.close()
        self._pages.close()

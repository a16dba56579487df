"""The queue that gives way, filled politely: never deeper than a limit, never faster than a rate."""

import threading
import time
from collections.abc import Callable, Sequence

import redis

from worker.contract.errors import QueueUnavailable
from worker.contract.messages import Page, Queue
from worker.contract.product import ProductId
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.urls import redact

#: how often a full queue is looked at
LOOK_SECONDS = 0.1


class Backlog:
    """Sends pages to the queue of backfills once there is room for them.

    With several producers at once the queue may exceed the depth by one page for each of the others.
    """

    def __init__(
        self,
        settings: Settings,
        stopped: threading.Event,
        depth: int | None = None,
        rate: float | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ):
        """`depth` in pages (None: SHELVER_BACKFILL_DEPTH), `rate` in products a second (None: as fast as it goes).

        `tell` is given a word when the work stops to wait, and when it goes on.
        """
        timeout = settings.connect_timeout_seconds
        self._redis = redis.Redis.from_url(
            settings.redis_url, socket_timeout=timeout, socket_connect_timeout=timeout, decode_responses=True
        )
        self._pages = Pages(settings)
        self._address = redact(settings.redis_url)
        self._stopped = stopped
        self._depth = depth or settings.backfill_depth
        self._rate = rate
        self._tell = tell
        self._next_at = 0.0  # on the monotonic clock

    def send(self, ids: Sequence[ProductId]) -> bool:
        """Put a page on the queue once it may be there, False when stopped before that; raises QueueUnavailable."""
        if not (self._wait_for_room() and self._wait_for_turn(len(ids))):
            return False
        self._pages.send(Page(tuple(ids), Queue.BACKFILL))
        return True

    def depth(self) -> int:
        """Return how many pages wait; raises QueueUnavailable."""
        try:
            return int(self._redis.llen(Queue.BACKFILL.value))
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis at {self._address} does not answer (SHELVER_REDIS_URL): {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._pages.close()
        self._redis.close()

    def _wait_for_room(self) -> bool:
        if self.depth() < self._depth:
            return not self._stopped.is_set()
        self._tell(f"waiting: {self._depth:,} pages are on the queue {Queue.BACKFILL}, as many as may be")
        while self.depth() >= self._depth:
            if self._stopped.wait(LOOK_SECONDS):
                return False
        self._tell("")
        return True

    def _wait_for_turn(self, count: int) -> bool:
        if self._rate is None:
            return True
        while (left := self._next_at - time.monotonic()) > 0:
            if self._stopped.wait(min(left, LOOK_SECONDS)):
                return False
        self._next_at = max(self._next_at, time.monotonic()) + count / self._rate
        return True

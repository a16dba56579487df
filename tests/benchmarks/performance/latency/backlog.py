"""A backfill that goes on and on."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import cycle, islice

import redis
from sqlalchemy import delete

from worker.contract.database import Database
from worker.contract.messages import Page, Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.tables import predictions

LOOK_SECONDS = 0.05
#: pages; there must be more than twice as many, or one would come again before it is done
KEPT = 60


class Backlog:
    """Pages on the queue of backfills, topped up again and again with products whose rows are forgotten before."""

    def __init__(self, settings: Settings, ids: Sequence[int]):
        size = settings.page_size
        self._settings = settings
        self._pages = cycle(ids[start : start + size] for start in range(0, len(ids), size))
        self._is_over = threading.Event()
        #: pages that waited, at every look
        self.depths: list[int] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep it deep; forget at the end what is left."""
        with redis.Redis.from_url(self._settings.redis_url) as client:
            topping = threading.Thread(target=self._top_up, args=(client,))
            topping.start()
            try:
                yield
            finally:
                self._is_over.set()
                topping.join()
                client.delete(Queue.BACKFILL.value)
                while client.hlen("unacked"):
                    time.sleep(LOOK_SECONDS)

    def _top_up(self, client: redis.Redis) -> None:
        forget = delete(predictions)  # and what hangs on them
        with closing(Pages(self._settings)) as pages, closing(Database(self._settings.database_url)) as database:
            while not self._is_over.wait(LOOK_SECONDS):
                depth = client.llen(Queue.BACKFILL.value)
                if self.depths or depth:  # before the first page there is no backlog to be shallow
                    self.depths.append(depth)
                for ids in islice(self._pages, max(0, KEPT - depth)):
                    with database.begin() as connection:
                        connection.execute(forget.where(predictions.c.product_id.in_(ids)))
                    pages.send(Page(tuple(ids), Queue.BACKFILL))

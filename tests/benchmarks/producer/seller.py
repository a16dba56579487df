"""Somebody who lists single products and looks how long each waits for its prediction."""

import random
import time
from collections.abc import Callable
from contextlib import closing

from sqlalchemy import select

from worker.contract.database import Database
from worker.contract.messages import Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.tables import predictions

#: on the average
EVERY_SECONDS = 0.3
PATIENCE_SECONDS = 60


class Seller:
    """Has a catalog, of which nothing is enqueued twice: what is known is not predicted again."""

    def __init__(self, settings: Settings, end: int):
        """The catalog's ids are those from 0 to before `end`."""
        self._settings = settings
        self._next, self._end = 0, end

    def take(self, count: int) -> range:
        """Return ids that nobody has had."""
        self._next += count
        assert self._next <= self._end, "the catalog is too small"
        return range(self._next - count, self._next)

    def list_while(self, is_time: Callable[[], bool]) -> list[float]:
        """Enqueue products one by one; return the seconds from there to their predictions."""
        ids: list[int] = []
        with closing(Pages(self._settings)) as pages:
            while is_time():
                ids += self.take(1)
                sum(pages.send_all(ids[-1:], Queue.NEW))
                time.sleep(random.uniform(0.5, 1.5) * EVERY_SECONDS)  # out of step with the pages
        return self._waits(ids)

    def _waits(self, ids: list[int]) -> list[float]:
        moments = select(predictions.c.queued_at, predictions.c.predicted_at).where(predictions.c.product_id.in_(ids))
        deadline = time.monotonic() + PATIENCE_SECONDS
        with closing(Database(self._settings.database_url)) as database:
            while time.monotonic() < deadline:
                with database.begin() as connection:
                    rows = connection.execute(moments).all()
                if len(rows) == len(ids):
                    return [(predicted - queued).total_seconds() for queued, predicted in rows]
                time.sleep(0.1)
        raise TimeoutError(f"{len(ids) - len(rows)} of {len(ids)} listings are not predicted")

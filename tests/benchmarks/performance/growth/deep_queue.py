"""A deep queue whose next pages are timed."""

import time
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime

import redis
from sqlalchemy import make_url

from tests.benchmarks.performance.line import clear
from tests.benchmarks.performance.workers import LOOK_SECONDS, Worker
from worker.contract.messages import Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings

#: of Redis, where no worker looks
STAGE = 15
#: products that are in no catalog
NOBODYS = 1_000_000_000
OTHERS = "others"


class DeepQueue:
    """Pages of products that nobody has, to wait behind those that are timed."""

    def __init__(self, settings: Settings, most: int):
        """Make pages of so many products."""
        url = make_url(settings.redis_url).set(database=str(STAGE)).render_as_string(hide_password=False)
        self._settings, self._staged = settings, settings.model_copy(update={"redis_url": url})
        self._stage, self._line = redis.Redis.from_url(url), redis.Redis.from_url(settings.redis_url)
        with closing(Pages(self._staged)) as pages:
            sum(pages.send_all(range(NOBODYS, NOBODYS + most), Queue.BACKFILL))
        if most:
            self._stage.rename(Queue.BACKFILL.value, OTHERS)

    def seconds(self, working: Worker, ids: Sequence[int], depth: int) -> float:
        """Return how long a worker takes for `ids` while `depth` others wait behind them, which are forgotten then."""
        clear(self._settings)
        queue, read, behind = Queue.BACKFILL.value, working.log.stat().st_size, self._put(ids, depth)
        began = time.time()
        self._stage.move(queue, int(make_url(self._settings.redis_url).database or 0))
        while self._line.llen(queue) > max(0, behind - 1) or (not behind and self._line.hlen("unacked")):
            time.sleep(LOOK_SECONDS)
        while sum(page["predicted"] for page in working.pages(read)) < len(ids):
            time.sleep(LOOK_SECONDS)
        self._line.delete(queue)
        while self._line.hlen("unacked"):
            time.sleep(LOOK_SECONDS)
        ours = (page for page in working.pages(read) if page["predicted"])
        return max(datetime.fromisoformat(page["timestamp"]).timestamp() for page in ours) - began

    def close(self) -> None:
        """Forget all of it."""
        self._stage.flushdb()
        self._stage.close()
        self._line.close()

    def _put(self, ids: Sequence[int], depth: int) -> int:
        """Have `ids` wait at the end that workers take from, and others behind; return how many pages of those."""
        queue, size = Queue.BACKFILL.value, self._settings.page_size
        behind = depth // size
        if behind:
            self._stage.copy(OTHERS, queue)
            self._stage.ltrim(queue, 0, behind - 1)
        with closing(Pages(self._staged)) as pages:
            sent = sum(1 for _ in pages.send_all(ids, Queue.BACKFILL))
        for _ in range(sent):  # the last one that was sent is to be taken last
            self._stage.lmove(queue, queue, "LEFT", "RIGHT")
        return behind

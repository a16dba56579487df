"""What waits in Redis, read as Celery wrote it."""

import base64
import json
import time
from collections.abc import Callable, Iterable

import redis

from worker.contract.messages import Page, Queue
from worker.contract.product import ProductId
from worker.contract.settings import Settings


def queued(settings: Settings, queue: Queue = Queue.NEW) -> list[Page]:
    """Every page on a queue, oldest first."""
    with redis.Redis.from_url(settings.redis_url) as client:
        raw = reversed(client.lrange(queue.value, 0, -1))
    bodies = [json.loads(base64.b64decode(json.loads(each)["body"])) for each in raw]
    return [Page.from_wire(args[0]) for args, _, _ in bodies]


def ids(pages: Iterable[Page]) -> list[ProductId]:
    """The ids of pages, in order."""
    return [each for page in pages for each in page.ids]


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Return as soon as it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)

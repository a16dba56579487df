"""`enqueue`, as the catalog system calls it."""

from collections.abc import Iterable
from functools import cache

from worker.contract import settings as configuration
from worker.contract.messages import Queue
from worker.contract.sender import Pages, QueueUnavailable

__all__ = ["Pages", "QueueUnavailable", "enqueue"]


@cache
def _pages() -> Pages:
    return Pages(configuration.load())


def enqueue(ids: int | Iterable[int], queue: Queue | str = Queue.NEW) -> int:
    """Ask for predictions of products that are in the catalog; return how many ids were enqueued.

    `ids` is one id or many, `queue` "new" (a person waits) or "backfill" (nobody does). Enqueueing an id twice
    does no harm: a product is predicted once per model and pictures. Raises TypeError for an id that is no
    integer, ValueError for another queue, QueueUnavailable when Redis does not answer within seconds.
    """
    numbers = [ids] if isinstance(ids, int) else list(ids)
    for identity in numbers:
        if not isinstance(identity, int) or isinstance(identity, bool):
            raise TypeError(f"product ids are integers, not {identity!r}")
    return sum(_pages().send_all(dict.fromkeys(map(int, numbers)), Queue(queue)))

"""What stands in for the change stream: listings by a field that only grows."""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from producer.listings import Listings
from producer.watching.feed import Feed
from producer.watching.order import Order, a_little_before, later
from producer.watching.stream import open_stream
from worker.contract.messages import Queue
from worker.contract.product import to_product_id

logger = logging.getLogger("producer")

POLL_SECONDS = 1


def catch_up(feed: Feed, listings: Listings, order: Order) -> None:
    """Enqueue what was listed since the last position, on the queue that gives way, and store a token that follows."""
    field = feed.settings.mongo_order_field
    logger.warning(
        "MongoDB no longer has the changes since the last position: going through %s from %s = %s on",
        *(feed.place, field, feed.order),
    )
    lost, feed.token = feed.token, None
    with open_stream(feed, listings) as changes:
        token = changes.resume_token  # before the scan, so that nothing falls between the two
    feed.token = lost  # until the end, so that a scan that is cut off goes on
    enqueued = 0
    for found in _chunks(order.since(feed.order), feed.settings.page_size):
        enqueued += _enqueue(feed, listings, found, Queue.BACKFILL)
        if feed.stopped.is_set():
            return
    feed.store(token)
    logger.warning(
        "%d listings enqueued on %s. Pictures that were changed meanwhile were not seen, nor listings whose %s is "
        "lower: shelver-producer reconcile finds those without a prediction",
        *(enqueued, Queue.BACKFILL, field),
    )


def poll(feed: Feed, listings: Listings, order: Order, is_first: bool) -> None:
    """Ask every second for what was listed since, until stopped; `is_first`: what is there already is not new."""
    logger.warning(
        "MongoDB is not a replica set and has no change streams: asking every %d s for listings of %s with a higher %s "
        "(SHELVER_MONGO_ORDER_FIELD). Changed pictures are not seen; start mongod with --replSet and run rs.initiate() "
        "once to see them",
        *(POLL_SECONDS, feed.place, feed.settings.mongo_order_field),
    )
    order.require_kind()
    seen: dict[Any, Any] = {}
    if is_first and feed.order is not None:
        seen = {to_product_id(key): value for value, key in order.since(feed.order)}
    while not feed.stopped.is_set():
        fresh = ((value, key) for value, key in order.since(feed.order) if to_product_id(key) not in seen)
        for found in _chunks(fresh, feed.settings.page_size):
            _enqueue(feed, listings, found, Queue.NEW)
            seen.update((to_product_id(key), value) for value, key in found)
        low = a_little_before(feed.order)
        seen = {key: value for key, value in seen.items() if later(value, low) == value}
        feed.cursor.beat()
        feed.stopped.wait(POLL_SECONDS)


def _enqueue(feed: Feed, listings: Listings, found: list[tuple[Any, Any]], queue: Queue) -> int:
    enqueued = feed.enqueue(listings, [key for _, key in found], queue)
    feed.saw(found[-1][0])
    feed.store()
    return enqueued


def _chunks(items: Iterable[tuple[Any, Any]], size: int) -> Iterator[list[tuple[Any, Any]]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk

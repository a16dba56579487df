"""What stands in for the change stream: listings by a field that only grows."""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from producer.listings import Listings, key_of
from producer.watching.feed import Feed
from producer.watching.order import Order, a_little_before, later
from producer.watching.stream import IDLE_POSITION_SECONDS, open_stream
from worker.contract.messages import Queue

logger = logging.getLogger("producer")

POLL_SECONDS = 1


def catch_up(feed: Feed, listings: Listings, order: Order) -> None:
    """Enqueue what was listed since the last position, on the queue that gives way, and store a token that follows."""
    field = feed.settings.mongo_order_field
    lost, feed.token = feed.token, None
    with open_stream(feed, listings) as changes:
        token = changes.resume_token  # before the scan, so that nothing falls between the two
    feed.token = lost  # until the end, so that a scan that is cut off goes on
    logger.warning(
        "MongoDB does not have the changes since the last position: going through %s from %s = %s on",
        *(feed.place, field, feed.order),
    )
    enqueued = 0
    # Not held up by the depth of the queue: listings that come now would wait for it.
    for found in _chunks(order.since(feed.order), feed.settings.page_size):
        enqueued += feed.enqueue(listings, [key for _, key in found], Queue.BACKFILL)
        _store(feed, found)
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
        "(SHELVER_MONGO_ORDER_FIELD). What is changed later is not seen, be it pictures or what the filter goes by; "
        "start mongod with --replSet and run rs.initiate() once to see it",
        *(POLL_SECONDS, feed.place, feed.settings.mongo_order_field),
    )
    order.require_kind()
    seen: dict[bytes, Any] = {}
    if is_first and feed.order is not None:
        seen = {key_of(key): value for value, key in order.since(feed.order)}
    feed.store()
    while not feed.stopped.is_set():
        if feed.order is None:
            order.require_kind()
        fresh = ((value, key) for value, key in order.since(feed.order) if key_of(key) not in seen)
        for found in _chunks(fresh, feed.settings.page_size):
            feed.enqueue(listings, [key for _, key in found], Queue.NEW)
            _store(feed, found)
            seen.update((key_of(key), value) for value, key in found)
        low = a_little_before(feed.order)
        seen = {key: value for key, value in seen.items() if later(value, low) == value}
        if feed.stored_seconds_ago > IDLE_POSITION_SECONDS:
            feed.store()  # nothing has moved, and whoever looks at the position's age sees that it is watched
        feed.cursor.check()
        feed.stopped.wait(POLL_SECONDS)


def _store(feed: Feed, found: list[tuple[Any, Any]]) -> None:
    for value, _ in found:
        feed.saw(value)
    feed.store()


def _chunks(items: Iterable[tuple[Any, Any]], size: int) -> Iterator[list[tuple[Any, Any]]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk

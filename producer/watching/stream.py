"""Follow the change stream: a new listing is on the queue within a fraction of a second."""

import logging
import time
from typing import Any

from pymongo.change_stream import ChangeStream

from producer.listings import Listings
from producer.watching.changes import changed_at, pipeline
from producer.watching.feed import Feed
from worker.contract.messages import Queue

logger = logging.getLogger("producer")

#: without this an idle stream's stored position would age out of MongoDB's history
IDLE_POSITION_SECONDS = 30
#: by itself MongoDB sends 16 MB of them where there is a backlog
CHANGES_AT_A_TIME = 1000
#: of the time that a page may linger: after as long without a change it is sent, for its listings wait for nothing
QUIET_SHARE = 0.2
#: or an idle watcher would ask MongoDB without end
LEAST_AWAIT_MS = 10

Changes = ChangeStream[dict[str, Any]]


def open_stream(feed: Feed, listings: Listings) -> Changes:
    """Return the stream of changes after the feed's token, or from now on where it has none."""
    # start_after goes on behind a dropped or renamed collection too, which resume_after refuses.
    return listings.watch(
        pipeline(feed.settings),
        start_after=feed.token,
        max_await_time_ms=max(LEAST_AWAIT_MS, int(feed.settings.page_linger_seconds * QUIET_SHARE * 1000)),
        batch_size=CHANGES_AT_A_TIME,
    )


def follow(feed: Feed, listings: Listings) -> None:
    """Enqueue what is listed, until stopped or until the stream ends with its collection."""
    with open_stream(feed, listings) as changes:
        # From here on nothing is missed, even when the first listing comes after a restart.
        feed.store(changes.resume_token)
        logger.info("watching %s", feed.place)
        while changes.alive and not feed.stopped.is_set():
            keys, listed_at = _collect(feed, changes)
            feed.enqueue(listings, keys, Queue.NEW, listed_at)
            if keys or feed.stored_seconds_ago > IDLE_POSITION_SECONDS:
                feed.store(changes.resume_token)
            feed.cursor.check()


def _collect(feed: Feed, changes: Changes) -> tuple[list[Any], float | None]:
    """Return the _id of changes: until the page is full, its first has waited long enough, or nothing more comes.

    And when the first of them was made, in seconds since the epoch.
    """
    keys: list[Any] = []
    listed_at = None
    deadline = float("inf")
    while len(keys) < feed.settings.page_size and time.monotonic() < deadline:
        change = changes.try_next()  # waits a moment, and no longer
        if change is None:
            break
        if not keys:
            deadline = time.monotonic() + feed.settings.page_linger_seconds
            listed_at = changed_at(change)
        keys.append(change["documentKey"]["_id"])
        feed.saw(keys[-1] if feed.settings.mongo_order_field == "_id" else change.get("order"))
    return keys, listed_at

"""Watch the catalog by whatever it offers. Of several watchers, one works."""

import logging
import threading

from pymongo import ReadPreference
from pymongo.errors import OperationFailure

from producer import metrics
from producer.cursors import BEAT_SECONDS, CursorLost
from producer.listings import check_filter, open_listings
from producer.watching import polling, stream
from producer.watching.feed import Feed
from producer.watching.order import Order
from worker.contract.errors import Unavailable
from worker.contract.settings import Settings

logger = logging.getLogger("producer")

NOT_A_REPLICA_SET = 40573
#: ChangeStreamHistoryLost, ChangeStreamFatalError, InvalidResumeToken
HISTORY_LOST = (286, 280, 260)
RETRY_SECONDS = 2


class Watcher:
    """Follows the change stream; polls where there is none; catches up when it no longer reaches back far enough."""

    def __init__(self, settings: Settings, stopped: threading.Event, from_now: bool = False):
        self._feed = Feed(settings, stopped, from_now)
        self._other: str | None = None  # the watcher that works while this one stands by

    def run(self) -> None:
        """Work, or stand by while another watcher works, until stopped; servers that fail are waited for.

        Raises ListingsError when a setting does not fit the collection.
        """
        try:
            while not self._feed.stopped.is_set():
                self._take_part()
        finally:
            self._feed.close()

    def _take_part(self) -> None:
        try:
            if self._feed.cursor.take():
                self._work()
            else:
                self._stand_by()
        except CursorLost as error:
            logger.warning("%s", error)
        except Unavailable as error:
            metrics.retried(error)
            logger.warning("%s; trying again in %d s", error, RETRY_SECONDS)
            self._feed.stopped.wait(RETRY_SECONDS)
        finally:
            metrics.watches(is_active=False)

    def _stand_by(self) -> None:
        self._feed.from_now = False  # there is a position now, which it must take over
        if self._other != self._feed.cursor.holder:
            self._other = self._feed.cursor.holder
            logger.info("another watcher (%s) works on %s: standing by to take over", self._other, self._feed.place)
        self._feed.stopped.wait(BEAT_SECONDS)

    def _work(self) -> None:
        self._other = None
        feed = self._feed
        is_first = not feed.restore()
        with open_listings(feed.settings) as found:
            # A secondary may lag behind the stream: what is new would be taken for what the filter leaves out.
            listings = found.with_options(read_preference=ReadPreference.PRIMARY)
            check_filter(listings, feed.settings.listing_filter)
            metrics.watches(is_active=True)
            order = Order(listings, feed.settings)
            if is_first:
                feed.order = order.newest()
            try:
                if is_first or feed.token is not None:
                    stream.follow(feed, listings)
                else:  # it was polled until now
                    polling.catch_up(feed, listings, order)
            except OperationFailure as error:
                if error.code in HISTORY_LOST:
                    feed.restore()  # what was collected is not on the queue
                    polling.catch_up(feed, listings, order)
                elif error.code == NOT_A_REPLICA_SET:
                    polling.poll(feed, listings, order, is_first)
                else:
                    raise

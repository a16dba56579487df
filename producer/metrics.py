"""What a producer counts and measures for Prometheus. docs/metrics.md describes each metric."""

import time
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from worker.contract.errors import QueueUnavailable, Unavailable
from worker.contract.exposition import Exposition
from worker.contract.messages import Page, Queue
from worker.contract.settings import Settings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

#: a listing should be on the queue within a fraction of a second; after a restart it may take as long as that lasted
LAG_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600, 14_400, 86_400)
REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
#: of requests that were refused before anyone looked what they are for, or that are for nothing we have
NO_ENDPOINT = "other"


class Source(StrEnum):
    """Who enqueued a page."""

    WATCH = "watch"
    CATCH_UP = "catch_up"
    API = "api"


class Cause(StrEnum):
    """What a watcher waits for."""

    MONGODB = "mongodb"
    REDIS = "redis"
    STORE = "store"


class Metrics:
    """All of them, in a registry."""

    def __init__(self, registry: "CollectorRegistry"):
        from prometheus_client import Counter, Gauge, Histogram  # here: without metrics nobody pays for it

        self.enqueued_products = Counter(
            "shelver_enqueued_products_total", "Products enqueued.", ["queue", "source"], registry=registry
        )
        self.enqueued_pages = Counter(
            "shelver_enqueued_pages_total", "Pages enqueued.", ["queue", "source"], registry=registry
        )
        self.enqueue_lag = Histogram(
            "shelver_enqueue_lag_seconds",
            "Seconds from when the oldest product of a page was listed until the watcher enqueued it.",
            buckets=LAG_SECONDS,
            registry=registry,
        )
        self.watcher_active = Gauge(
            "shelver_watcher_active", "1 while this watcher works, 0 while it stands by or waits.", registry=registry
        )
        self.retries = Counter(
            "shelver_producer_retries_total",
            "Times that the watcher had to begin anew because a server was away, by server.",
            ["cause"],
            registry=registry,
        )
        self.api_requests = Counter(
            "shelver_api_requests_total", "HTTP requests answered.", ["endpoint", "status"], registry=registry
        )
        self.api_request_seconds = Histogram(
            "shelver_api_request_seconds",
            "Seconds that an HTTP request took.",
            ["endpoint"],
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        for queue, source in product(Queue, Source):
            self.enqueued_products.labels(queue, source)
            self.enqueued_pages.labels(queue, source)
        for cause in Cause:
            self.retries.labels(cause)


#: at most one; none while metrics are off
_told: list[Metrics] = []


def start(settings: Settings, is_watcher: bool) -> None:
    """Serve this process' metrics where SHELVER_METRICS_PORT says, if it does; raises CannotServe if that is taken."""
    if not settings.metrics_port:
        return
    exposition = Exposition(settings.metrics_host, settings.metrics_port, "choose with SHELVER_METRICS_HOST and _PORT")
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    _told[:] = [Metrics(registry)]
    if not is_watcher:  # that it does not work says nothing where there may be none at all
        registry.unregister(_told[0].watcher_active)
    exposition.start(registry)


def enqueued(page: Page, source: Source) -> None:
    """Count a page that is on its queue, and measure how long ago its products were listed, where that is known."""
    for metrics in _told:
        metrics.enqueued_pages.labels(page.queue, source).inc()
        metrics.enqueued_products.labels(page.queue, source).inc(len(page.ids))
        if page.listed_at is not None:
            metrics.enqueue_lag.observe(max(0.0, time.time() - page.listed_at))


def counted(pages: Iterable[int], queue: Queue, source: Source) -> Iterator[int]:
    """Pass on how many products each page had, and count it."""
    for products in pages:
        for metrics in _told:
            metrics.enqueued_pages.labels(queue, source).inc()
            metrics.enqueued_products.labels(queue, source).inc(products)
        yield products


def watches(is_active: bool) -> None:
    """Show whether this watcher works."""
    for metrics in _told:
        metrics.watcher_active.set(is_active)


def retried(error: Unavailable) -> None:
    """Count that a server was away."""
    is_mongodb = isinstance(error.__cause__, PyMongoError)
    cause = Cause.REDIS if isinstance(error, QueueUnavailable) else Cause.MONGODB if is_mongodb else Cause.STORE
    for metrics in _told:
        metrics.retries.labels(cause).inc()


def answered(endpoint: str, status: int, seconds: float) -> None:
    """Count a request, and measure how long it took."""
    for metrics in _told:
        metrics.api_requests.labels(endpoint, status).inc()
        metrics.api_request_seconds.labels(endpoint).observe(seconds)

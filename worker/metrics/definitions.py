"""Every metric of a worker, in one place: its name, labels, unit and meaning."""

from enum import StrEnum
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from worker.contract.messages import Queue
from worker.contract.rejects import Reason
from worker.outcome import Side

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

#: small steps around the second within which a new listing should be predicted; a backfill may wait for a day
LAG_SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14_400, 86_400)
STAGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
PREDICT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
BATCH_PICTURES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
SCORES = tuple(tenth / 10 for tenth in range(1, 11))
#: of what is on no queue of ours
NO_QUEUE = "unknown"


class PageResult(StrEnum):
    """What became of a page, or of a message that is none."""

    DONE = "done"
    RETURNED = "returned"
    CUT = "cut"
    DROPPED = "dropped"


class ProductResult(StrEnum):
    """What became of a product of a page that is done."""

    PREDICTED = "predicted"
    COPIED = "copied"
    KNOWN = "known"
    REJECTED = "rejected"


class Cause(StrEnum):
    """Why something is tried again."""

    MONGODB = "mongodb"
    REDIS = "redis"
    STORE = "store"
    SERVING = "serving"
    MODEL = "model"
    REFUSED = "refused"
    TIME_LIMIT = "time_limit"
    UNFORESEEN = "unforeseen"
    NEWER_SCHEMA = "newer_schema"
    KILLED = "killed"


#: why a canary or shadow may fail
CANARY_CAUSES = (Cause.SERVING, Cause.STORE, Cause.MODEL, Cause.REFUSED, Cause.TIME_LIMIT, Cause.UNFORESEEN)


class Since(StrEnum):
    """From where on a lag is counted."""

    ENQUEUED = "enqueued"
    LISTED = "listed"


class Metrics:
    """All of them, in a registry. Whoever makes them chooses first where prometheus_client keeps values."""

    def __init__(self, registry: "CollectorRegistry"):
        from prometheus_client import Counter, Gauge, Histogram  # here: without metrics nobody pays for it

        counter, histogram = partial(Counter, registry=registry), partial(Histogram, registry=registry)
        gauge = partial(Gauge, registry=registry, multiprocess_mode="mostrecent")  # whichever child set it last
        self.pages = counter(
            "shelver_pages_total",
            "Pages by what became of them: done, returned to their queue, cut up, or dropped because they are none.",
            ["queue", "result"],
        )
        self.products = counter(
            "shelver_products_total",
            "Products of pages that are done, by what became of them and the side whose model was asked.",
            ["queue", "result", "side"],
        )
        self.pictures = counter("shelver_pictures_total", "Pictures that a model was asked about.", ["queue"])
        self.rejects = counter("shelver_rejects_total", "Products rejected, by reason.", ["reason"])
        self.batch_pictures = histogram(
            "shelver_batch_pictures", "Pictures in one Predict call.", buckets=BATCH_PICTURES
        )
        self.predict_seconds = histogram(
            "shelver_predict_seconds",
            "Seconds that one Predict call took, of those that were answered.",
            ["model_version", "side"],
            buckets=PREDICT_SECONDS,
        )
        self.stage_seconds = histogram(
            "shelver_stage_seconds",
            "Seconds that a page spent in one stage of its way, waiting for a server that was away included.",
            ["stage"],
            buckets=STAGE_SECONDS,
        )
        self.retries = counter(
            "shelver_retries_total",
            "Attempts that failed and are made again, at once, after a wait or when the page comes back, by cause.",
            ["cause"],
        )
        self.lag = histogram(
            "shelver_lag_seconds",
            "Seconds from when a page was enqueued, or its oldest product was listed, until it was stored.",
            ["queue", "since"],
            buckets=LAG_SECONDS,
        )
        self.score = histogram(
            "shelver_score",
            "Score of the best category, a probability, of each product predicted and not copied from the store.",
            ["model_version", "side", "queue"],
            buckets=SCORES,
        )
        self.model_version = gauge(
            "shelver_model_version",
            "Version of the model that answered last.",
            ["side"],
        )
        self.model_unfit = gauge(
            "shelver_model_unfit",
            "1 while the worker takes no page because its model is missing or none of Shelver's, else 0.",
        )
        self.canary_fallbacks = counter(
            "shelver_canary_fallbacks_total",
            "Products of a canary or shadow that the stable model answered alone, by cause.",
            ["cause"],
        )
        self.children_started = counter(
            "shelver_children_started_total", "Child processes started, the first ones included."
        )
        self.worker_started = gauge(
            "shelver_worker_started_timestamp_seconds", "Seconds since the epoch at which the worker started."
        )
        self.resident_memory = gauge(
            "shelver_resident_memory_bytes",
            "Resident memory in bytes: of the main process now, of a child after its last page, or its start.",
            ["process"],
        )
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """Show what has not happened yet: of a series that begins at 1 Prometheus sees no increase."""
        for queue in Queue:
            self.pictures.labels(queue)
            for each in PageResult:
                self.pages.labels(queue, each)
            for result, side in product(ProductResult, Side):
                self.products.labels(queue, result, side)
            for since in Since:
                self.lag.labels(queue, since)
        for reason in Reason:
            self.rejects.labels(reason)
        for cause in Cause:
            self.retries.labels(cause)
        for cause in CANARY_CAUSES:
            self.canary_fallbacks.labels(cause)

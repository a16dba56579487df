"""What the worker tells its metrics, a line where it happens. Nothing at all while metrics are off."""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import structlog

from worker.contract.errors import ModelUnfit, Unavailable
from worker.contract.messages import Page, Queue
from worker.metrics.definitions import NO_QUEUE, Cause, Metrics, PageResult, ProductResult, Since
from worker.outcome import Outcome, Side

logger = structlog.stdlib.get_logger("worker")
P = ParamSpec("P")

#: whose absence holds a stage up
SERVERS = {
    "catalog": Cause.MONGODB,
    "model": Cause.SERVING,
    "known": Cause.STORE,
    "predict": Cause.SERVING,
    "save": Cause.STORE,
}
#: at most one; none while metrics are off
_told: list[Metrics] = []
#: shared with the children that are forked later: whether those of any process of this worker could not be written
_lost = mmap(-1, 1)


def turn_on(metrics: Metrics) -> None:
    """Tell these from now on; children that are forked later tell them too."""
    _told[:], _lost[0] = [metrics], False


def is_on() -> bool:
    """Say whether there are metrics to tell."""
    return bool(_told)


def are_lost() -> bool:
    """Say whether some process of this worker could not write its metrics: a sum without it would be wrong."""
    return bool(_lost[0])


def turn_off(error: Exception) -> None:
    """Tell none any more, and say why, once for all processes of this worker."""
    if not are_lost():
        logger.warning("no metrics: their files in SHELVER_STATE_FOLDER cannot be written", reason=str(error))
    _told.clear()
    _lost[0] = True


def _harmless(observe: Callable[Concatenate[Metrics, P], None]) -> Callable[P, None]:
    """Do nothing while metrics are off; that they cannot be written turns them off, and is no matter of a page."""

    @functools.wraps(observe)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            for metrics in _told:
                observe(metrics, *args, **kwargs)
        except OSError as error:
            turn_off(error)

    return call


@_harmless
def page_left(metrics: Metrics, queue: str, result: PageResult) -> None:
    """Count a page that is not done: it went back, was cut, or was none."""
    metrics.pages.labels(queue, result).inc()


@_harmless
def page_done(metrics: Metrics, page: Page, outcome: Outcome) -> None:
    """Count a page whose products are all stored, and what became of them; measure how long they took and waited."""
    metrics.pages.labels(page.queue, PageResult.DONE).inc()
    for since, moment in ((Since.ENQUEUED, page.queued_at), (Since.LISTED, page.listed_at)):
        if moment is not None and outcome.stored_at is not None:
            metrics.lag.labels(page.queue, since).observe(max(0.0, outcome.stored_at - moment))
    sides = [outcome, *([outcome.beside] if outcome.beside else [])]
    for stage in dict.fromkeys(stage for side in sides for stage in side.seconds):
        metrics.stage_seconds.labels(stage).observe(sum(side.seconds.get(stage, 0) for side in sides))
    for side in sides:
        _count(metrics, page.queue, side)


def _count(metrics: Metrics, queue: str, outcome: Outcome) -> None:
    """Count what one model made of a page's products."""
    results = {
        ProductResult.PREDICTED: len(outcome.predictions) - outcome.copied,
        ProductResult.COPIED: outcome.copied,
        ProductResult.KNOWN: len(outcome.known),
        ProductResult.REJECTED: len(outcome.rejects),
    }
    for result, products in results.items():
        metrics.products.labels(queue, result, outcome.side).inc(products)
    for reject in outcome.rejects:
        metrics.rejects.labels(reject.reason).inc()
    for each in outcome.predictions:
        if each.ranked:  # no copy of what is stored
            metrics.score.labels(each.model_version, outcome.side, queue).observe(each.candidates[0][1])
    for cause, products in outcome.fallbacks.items():
        metrics.canary_fallbacks.labels(cause).inc(products)
    metrics.pictures.labels(queue).inc(outcome.pictures)


@_harmless
def answered(metrics: Metrics, version: int, pictures: int, seconds: float, side: Side) -> None:
    """Measure a Predict call."""
    metrics.batch_pictures.observe(pictures)
    metrics.predict_seconds.labels(version, side).observe(seconds)
    metrics.model_version.labels(side).set(version)


@_harmless
def retried(metrics: Metrics, cause: Cause) -> None:
    """Count something that is tried again, in place or after a page has gone back."""
    metrics.retries.labels(cause).inc()


@contextmanager
def tried(stage: str) -> Iterator[None]:
    """Count what happens inside if it fails because a server is away: it is waited for, or the page goes back."""
    try:
        yield
    except Unavailable as error:
        if not isinstance(error, ModelUnfit):  # nobody waits for a person: that page goes back, and is counted there
            retried(SERVERS[stage])
        raise


@_harmless
def looked(metrics: Metrics, is_unfit: bool) -> None:
    """Show whether the worker takes no page for want of a model. Called in the main process, once a second."""
    metrics.model_unfit.set(is_unfit)
    metrics.resident_memory.labels("main").set(_resident_bytes())


@_harmless
def worker_started(metrics: Metrics) -> None:
    """Show since when this worker runs; called in its main process."""
    metrics.worker_started.set_to_current_time()


@_harmless
def child_started(metrics: Metrics) -> None:
    """Count a child process; called in it."""
    metrics.children_started.inc()


@_harmless
def child_memory(metrics: Metrics) -> None:
    """Show the resident memory of this child."""
    metrics.resident_memory.labels(slot()).set(_resident_bytes())


def queue_of(delivery_info: Any) -> str:
    """Return the queue that a message says it is for, if it is one of ours: a label of a stranger's choice is none."""
    try:
        return Queue(str((delivery_info or {}).get("routing_key")))
    except ValueError:
        return NO_QUEUE


def slot() -> str:
    """Return this process' place in the pool, or main."""
    from billiard.process import current_process

    return str(getattr(current_process(), "index", "main"))


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")

"""The Celery task: thin, so that everything worth testing is in the pipeline."""

import logging
import time

from celery import Task
from celery.exceptions import Reject as Return
from celery.exceptions import SoftTimeLimitExceeded

from worker.app import celery_app, pipeline
from worker.contract.errors import Unavailable
from worker.contract.messages import TASK, MessageError, NewerSchema, Page

logger = logging.getLogger("worker")

#: a page that failed for an unknown reason is not tried again at once, or it would spin
PAUSE_SECONDS = 5

app = celery_app()


@app.task(name=TASK, bind=True)
def classify_page(self: "Task[[object], None]", message: object) -> None:
    """Classify one page; a page that cannot be finished now goes back to its queue."""
    started = time.monotonic()
    try:
        page = Page.from_wire(message)
    except NewerSchema as error:
        logger.warning("page %s goes back: %s", self.request.id, error)
        time.sleep(PAUSE_SECONDS)
        raise Return(str(error), requeue=True) from error
    except MessageError as error:
        logger.error("message %s is no page and is dropped: %s", self.request.id, error)
        return
    try:
        outcome = pipeline().classify(page)
    except Unavailable as error:
        logger.warning("page %s goes back to %s: %s", self.request.id, page.queue, error)
        raise Return(str(error), requeue=True) from error
    except SoftTimeLimitExceeded as error:
        logger.warning("page %s goes back to %s: it took too long", self.request.id, page.queue)
        raise Return("time limit", requeue=True) from error
    except Exception as error:
        logger.exception("page %s goes back to %s after an unforeseen error", self.request.id, page.queue)
        time.sleep(PAUSE_SECONDS)
        raise Return(str(error), requeue=True) from error
    logger.info(
        "page %s from %s: %d predicted, %d rejected, %d known, %.3f s",
        self.request.id,
        page.queue,
        len(outcome.predictions),
        len(outcome.rejects),
        len(outcome.known),
        time.monotonic() - started,
    )

"""The Celery task: which way a page goes, by what becomes of it. What is done with its products is the pipeline's."""

import time
from contextlib import closing, suppress
from dataclasses import replace

import structlog
from celery import Task
from celery.exceptions import Reject as Return
from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import worker_process_init, worker_process_shutdown
from kombu.exceptions import OperationalError

from worker import gate
from worker.app import celery_app, control, pipeline, settings
from worker.contract import traces
from worker.contract.errors import ModelUnfit, Unavailable
from worker.contract.messages import TASK, MessageError, NewerSchema, Page
from worker.control import FAILURES, Attempt, Control
from worker.memory import keep_freed
from worker.metrics import observe, slots
from worker.metrics.definitions import Cause, PageResult
from worker.outcome import Outcome
from worker.request import PageRequest
from worker.rollout import OFF, Answered

logger = structlog.stdlib.get_logger("worker")

#: a page that failed for an unknown reason is not tried again at once, or it would spin
PAUSE_SECONDS = 5
#: no producer of ours makes larger pages
LARGEST_PAGE = 1000
#: of a message that is no page, enough to find its sender
SHOWN_CHARACTERS = 500

app = celery_app()


@app.task(name=TASK, bind=True, Request=PageRequest)
def classify_page(self: "Task[..., None]", /, *arguments: object, **named: object) -> None:
    """Classify one page; a page that cannot be finished now goes back to its queue.

    What is known of attempts at it is kept in Redis: one that killed its process can tell nobody.
    """
    page_id, queue = str(self.request.id), observe.queue_of(self.request.delivery_info)
    log, started = logger.bind(page=page_id), time.monotonic()
    message = arguments[0] if len(arguments) == 1 and not named else (arguments, named)
    parent = {name: self.request.get(name) for name in traces.FIELDS}
    result = PageResult.RETURNED  # unless it is found to be otherwise
    try:
        with traces.span("classify_page", kind="consumer", parent=parent, page=page_id, queue=queue, result=result):
            _classify(message, page_id, queue, log)
    except Return:
        observe.page_left(queue, PageResult.RETURNED)
        raise
    except Exception as error:  # of the handlers in there: the time limit may strike amid one
        observe.retried(Cause.TIME_LIMIT)
        observe.page_left(queue, PageResult.RETURNED)
        raise Return(str(error), requeue=True) from error
    except SystemExit:
        if time.monotonic() - started < settings().page_soft_limit_seconds:
            _end(page_id)  # its worker is told to stop: the page did nothing to it
        raise
    finally:
        observe.child_memory()


def _classify(message: object, page_id: str, queue: str, log: structlog.stdlib.BoundLogger) -> None:
    try:
        page = Page.from_wire(message)
    except NewerSchema as error:
        log.warning("page goes back", reason=str(error))
        observe.retried(Cause.NEWER_SCHEMA)
        time.sleep(PAUSE_SECONDS)
        raise Return(str(error), requeue=True) from error
    except MessageError as error:
        observe.page_left(queue, PageResult.DROPPED)
        traces.note(result=PageResult.DROPPED)
        log.error("message is no page and is dropped", reason=str(error), message=repr(message)[:SHOWN_CHARACTERS])
        return
    log = log.bind(queue=page.queue.value, products=len(page.ids))
    try:
        _work(page, page_id, _begin(page_id), log)
    except ModelUnfit as error:
        gate.report_unfit(str(error))
        observe.retried(Cause.MODEL)
        _go_back(page_id, log, error)
    except Unavailable as error:
        _go_back(page_id, log, error)
    except OperationalError as error:
        observe.retried(Cause.REDIS)
        _go_back(page_id, log, error)
    except SoftTimeLimitExceeded as error:
        observe.retried(Cause.TIME_LIMIT)
        _cut_short(page, page_id, log, error)
    except Exception as error:
        observe.retried(Cause.UNFORESEEN)
        log.exception("page goes back after an unforeseen error")
        _fail(page_id)
        time.sleep(PAUSE_SECONDS)
        raise Return(str(error), requeue=True) from error


def look_again() -> None:
    """Find out whether the model is right by now. The worker asks for this while it takes no pages."""
    try:
        pipeline().check_model()
    except ModelUnfit as error:
        gate.report_unfit(str(error))
    except Unavailable:
        pass  # no answer is no good news
    else:
        gate.report_fit()


def _work(page: Page, page_id: str, attempt: Attempt, log: structlog.stdlib.BoundLogger) -> None:
    traces.note(products=len(page.ids), attempt=attempt.number)
    if len(page.ids) > LARGEST_PAGE:
        _send_parts(page, page_id, settings().page_size)
        log.warning("page is too large and is cut", into=settings().page_size)
    elif not attempt.is_suspect:
        # A page that may have ended its process is the stable model's alone: the canary may be what was too large.
        outcome = pipeline().classify(page, attempt.rollout if attempt.is_clean else OFF)
        observe.page_done(page, outcome)
        traces.note(result=PageResult.DONE, model_version=outcome.model_version)
        # Beside it there is nothing when the label canary has moved: then it is not the canary that did not answer.
        is_tried = outcome.beside is not None or not attempt.is_clean
        _end(page_id, len(set(page.ids)), attempt.rollout.count(outcome) if is_tried else None)
        log.info("page done", attempt=attempt.number, **_figures(outcome))
    elif len(page.ids) > 1:
        _send_parts(page, page_id, (len(page.ids) + 1) // 2, failures=FAILURES - 1)
        log.warning("page ended its process again and again and is cut in two", attempts=attempt.number - 1)
    else:
        detail = (
            f"{attempt.number - 1} attempts at it ended its process or failed: killed, out of memory, over "
            "SHELVER_PAGE_TIME_LIMIT_SECONDS, or as the worker's log says"
        )
        observe.page_done(page, pipeline().poison(page, detail))
        traces.note(result=PageResult.DONE)
        _end(page_id)
        log.error("product is rejected as poison", product=page.ids[0])


def _go_back(page_id: str, log: structlog.stdlib.BoundLogger, error: Exception) -> None:
    _end(page_id)  # its process lives
    log.warning("page goes back", reason=str(error))
    raise Return(str(error), requeue=True) from error


def _cut_short(page: Page, page_id: str, log: structlog.stdlib.BoundLogger, error: SoftTimeLimitExceeded) -> None:
    """Cut a page that took too long in two; a single product comes back, and counts as failed."""
    if len(page.ids) > 1:
        try:
            _send_parts(page, page_id, (len(page.ids) + 1) // 2)
        except OperationalError:
            pass
        else:
            log.warning("page took too long and is cut in two")
            return
    _fail(page_id)
    log.warning("page goes back", reason="it took too long")
    raise Return("time limit", requeue=True) from error


def _send_parts(page: Page, page_id: str, size: int, failures: int = 0) -> None:
    """Put a page's parts on its queue; a page is acknowledged afterwards, so that none of it can be lost.

    A part of several products inherits `failures`, so that one more is enough to cut it again; a single product has
    them all before it, because it may only have been in bad company.
    """
    for number, start in enumerate(range(0, len(page.ids), size)):
        ids = page.ids[start : start + size]
        part_id = f"{page_id}.{number}"
        if failures and len(ids) > 1:
            control().suspect(part_id, failures)
        part = replace(page, ids=ids)
        app.send_task(TASK, (part.to_wire(),), queue=page.queue.value, task_id=part_id, headers=traces.carrier())
    observe.page_left(page.queue, PageResult.CUT)
    traces.note(result=PageResult.CUT)
    _end(page_id)


def _begin(page_id: str) -> Attempt:
    try:
        return control().begin(page_id)
    except Unavailable:
        return control().begin_untold()  # the page is in hand and can be finished; attempts are Redis's to remember


def _fail(page_id: str) -> None:
    with suppress(Unavailable):  # as above
        control().fail(page_id)


def _tell_death(page_id: str) -> None:
    """Count a child's death against its page; in the main process, which lends no connection to later children."""
    observe.retried(Cause.KILLED)
    hurried = settings().model_copy(update={"connect_timeout_seconds": 1.0})
    with suppress(Unavailable), closing(Control(hurried)) as own:
        own.fail(page_id)


def _end(page_id: str, products: int = 0, answered: Answered | None = None) -> None:
    with suppress(Unavailable):  # as above; at worst the page is taken for a killer once more often than it was
        control().end(page_id, products, answered)


def _figures(outcome: Outcome) -> dict[str, object]:
    figures: dict[str, object] = {
        "predicted": len(outcome.predictions),
        "rejected": len(outcome.rejects),
        "known": len(outcome.known),
        "copied": outcome.copied,
        "pictures": outcome.pictures,
        "model_version": outcome.model_version,
        "seconds": {stage: round(seconds, 4) for stage, seconds in outcome.seconds.items()},
    }
    if outcome.fallbacks:
        figures["fallbacks"] = {str(cause): products for cause, products in outcome.fallbacks.items()}
    if outcome.beside:
        figures[outcome.beside.side.value] = _figures(outcome.beside)
    return figures


PageRequest.tell_death = staticmethod(_tell_death)
gate.Gate.settings = settings()
gate.Gate.look_again = staticmethod(look_again)
app.steps["consumer"].add(gate.Gate)
worker_process_init.connect(slots.begin_child)
worker_process_init.connect(keep_freed)
worker_process_shutdown.connect(traces.close)

"""The Celery application and, per child process, the pipeline with its clients."""

import logging
import os

# Before Celery is imported: SIGTERM then starts the soft shutdown, which gives an unfinished page back to the
# queue at the end of its grace period instead of waiting for it without end.
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")

from functools import cache

from celery import Celery
from celery.signals import setup_logging

from worker.catalog import Catalog
from worker.contract import settings as configuration
from worker.contract.broker import celery_options
from worker.pipeline import Pipeline
from worker.serving import Serving
from worker.store import Store

SOFT_SHUTDOWN_SECONDS = 20
#: between the soft time limit, at which a page goes back, and the hard one, at which its child is killed
HANDBACK_SECONDS = 5


@cache
def settings() -> configuration.Settings:
    """Return the settings of this process, read once."""
    return configuration.load()


@cache
def pipeline() -> Pipeline:
    """Return this process's pipeline, built at its first page: after fork, because no client survives one."""
    return Pipeline(settings(), Catalog(settings()), Serving(settings()), Store(settings()))


def celery_app() -> Celery:
    """Return the Celery application; the tasks are in worker.tasks."""
    app = Celery("shelver", include=["worker.tasks"], set_as_current=True)
    limit = settings().page_time_limit_seconds
    app.conf.update(
        celery_options(settings()),
        # A page is acknowledged when its rows are stored, and comes back when its child or machine dies first.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=False,
        task_soft_time_limit=limit - HANDBACK_SECONDS,
        task_time_limit=limit,
        # Prefetched pages would hide the backlog from whoever scales on the queue's length.
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_soft_shutdown_timeout=SOFT_SHUTDOWN_SECONDS,
        worker_enable_soft_shutdown_on_idle=False,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        broker_connection_retry_on_startup=True,
        worker_send_task_events=False,
    )
    return app


@setup_logging.connect
def _keep_our_logging(loglevel: int | str | None = None, logfile: str | None = None, **_: object) -> None:
    """Celery would replace the handlers that the command set up; --loglevel and --logfile count all the same."""
    root = logging.getLogger()
    if loglevel is not None:
        root.setLevel(loglevel)
    if logfile:
        handler = logging.FileHandler(logfile)
        handler.setFormatter(root.handlers[0].formatter)
        root.handlers = [handler]

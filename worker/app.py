"""The Celery application and, per child process, the pipeline with its clients."""

import os

# Before Celery is imported: SIGTERM then starts the soft shutdown, which gives an unfinished page back to the
# queue at the end of its grace period instead of waiting for it without end.
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")

from functools import cache

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

from worker.catalog import Catalog
from worker.contract import settings as configuration
from worker.contract.broker import celery_options
from worker.control import Control
from worker.pipeline import Pipeline
from worker.serving import Serving
from worker.store import Store

#: of a worker, unless --concurrency says how many: while one waits for the model or a commit, another fetches and
#: decodes. By the cores that it may use, which may be a part of the machine's.
DEFAULT_CHILDREN = 2 * len(os.sched_getaffinity(0))

# What the schemes stand for here. A setting that names the transport would be the scheme of every URL that is shown,
# which Flower does not know for Redis.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "worker.transport:Transport"))


@cache
def settings() -> configuration.Settings:
    """Return the settings of this process, read once."""
    return configuration.load()


@cache
def pipeline() -> Pipeline:
    """Return this process's pipeline, built at its first page: after fork, because no client survives one."""
    return Pipeline(settings(), Catalog(settings()), Serving(settings()), Store(settings()))


@cache
def control() -> Control:
    """Return this process's line to Redis beside Celery's own; built after fork like the pipeline."""
    return Control(settings())


def celery_app() -> Celery:
    """Return the Celery application; the tasks are in worker.tasks."""
    app = Celery("shelver", include=["worker.tasks"], set_as_current=True)
    app.conf.update(
        celery_options(settings()),
        # A page is acknowledged when its rows are stored, and comes back when its child or machine dies first.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=False,
        task_soft_time_limit=settings().page_soft_limit_seconds,
        task_time_limit=settings().page_time_limit_seconds,
        worker_concurrency=DEFAULT_CHILDREN,
        # Prefetched pages would hide the backlog from whoever scales on the queue's length.
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_max_tasks_per_child=settings().pages_per_child,
        worker_max_memory_per_child=settings().child_memory_megabytes * 1024,
        worker_soft_shutdown_timeout=settings().shutdown_seconds,
        worker_enable_soft_shutdown_on_idle=False,
        # A page in hand is finished and stored though Redis is away; when it comes again it is found to be known.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # without end: it would give up after a hundred
        broker_channel_error_retry=True,  # a Redis that refuses writes, with a full disk say, is waited for as well
        worker_send_task_events=False,
    )
    return app

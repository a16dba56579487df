"""Workers that are warm at the same time and share neither a queue nor a log, so that their runs can take turns."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import make_url

from deploy.local.processes import Processes
from tests.benchmarks.performance.line import Catalog, Worker, worker
from tests.benchmarks.producer.line import Line
from worker.contract.settings import Settings


@contextmanager
def worker_apart(
    servers: Line, served: Catalog, settings: Settings, number: int, children: int = 1
) -> Iterator[Worker]:
    """Give a warm worker that has Redis' database of this number and a folder of logs to itself, and end it."""
    own = make_url(settings.redis_url).set(database=str(number)).render_as_string(hide_password=False)
    processes = Processes(servers.folder / f"logs-{number}")
    line = replace(servers, processes=processes)
    try:
        with worker(line, served, settings.model_copy(update={"redis_url": own}), children) as started:
            yield started
    finally:
        processes.stop()

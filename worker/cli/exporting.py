"""exporter: the line as Prometheus sees it."""

import logging
from typing import Annotated

import typer

from worker.contract import settings as configuration
from worker.contract.exposition import Exposition
from worker.contract.listening import url
from worker.contract.stopping import stopped_by_signals

logger = logging.getLogger("worker")


def exporter(
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 or :: for any")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0 for a free one")] = 9809,
) -> None:
    """Serve the state of the whole line to Prometheus, at /metrics, until stopped.

    One is enough for a deployment. It tells the depth of each queue, pages in
    flight and the age of the oldest, whether each server answers and how fast,
    which model is served, the rejects in the store, and how old the cursors of
    the producers are. Scale workers on depth plus in flight.

    Servers are asked when it is scraped, each for SHELVER_CONNECT_TIMEOUT_SECONDS
    at most. One that is down is told as shelver_dependency_up 0, and what only it
    knows is left out.

    Workers and producers serve metrics of their own, at SHELVER_METRICS_PORT.
    """
    settings = configuration.load()
    exposition = Exposition(host, port)
    from prometheus_client import CollectorRegistry

    from worker.exporter import Line

    registry = CollectorRegistry()
    registry.register(Line(settings))
    stopped = stopped_by_signals()
    exposition.start(registry)
    logger.info("metrics of the line at %s/metrics", url(exposition.socket))
    stopped.wait()
    exposition.close()


COMMANDS = (exporter,)

"""What Prometheus learns of the whole line: queues, servers, the model served, stored rejects and producers' cursors.

Everything is asked when it is scraped. A server that is down is shown as such; what only it knows is left out, as
is what it takes too long to say.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Row, select

from worker.contract.rejects import Reason
from worker.contract.settings import Settings
from worker.contract.tables import cursors
from worker.dependencies import Asked
from worker.status import GRACE_SECONDS, Status, look, reading

#: however often it is scraped, the servers are asked no more often
KEPT_SECONDS = 3.0
#: a producer counts its cursor's beat up every second; one that is silent for so long holds it no more
SILENT_SECONDS = 5.0
#: as `look` lists them
SERVERS = {"MongoDB": "mongodb", "Redis": "redis", "SQL store": "store", "model server": "serving"}
#: metric -> its meaning and labels
GAUGES: dict[str, tuple[str, list[str]]] = {
    "shelver_queue_depth_pages": ("Pages that wait on a queue.", ["queue"]),
    "shelver_queue_in_flight_pages": ("Pages that workers have taken off a queue and not finished.", ["queue"]),
    "shelver_queue_oldest_seconds": (
        "Seconds since the page next in turn, or the oldest in flight, was enqueued; absent when there is none.",
        ["queue"],
    ),
    "shelver_queue_paused": ("1 while shelver-worker pause holds a queue, else 0.", ["queue"]),
    "shelver_dependency_up": ("1 when a server that workers cannot do without answers, else 0.", ["dependency"]),
    "shelver_dependency_latency_seconds": (
        "Seconds from connecting to a server until its first answer; absent when there is none.",
        ["dependency"],
    ),
    "shelver_served_model_version": ("Version of the model that the model server serves.", []),
    "shelver_served_model_ready": ("1 when the served model is one of Shelver's and registered, else 0.", []),
    "shelver_stored_rejects": ("Rejects in the store.", ["reason"]),
    "shelver_cursor_age_seconds": ("Seconds since a producer last moved its cursor.", ["cursor"]),
    "shelver_cursor_held": ("1 while a producer that lives holds a cursor, else 0.", ["cursor"]),
}

#: a metric's name, the values of its labels, and its value
Sample = tuple[str, list[str], float]


@dataclass(frozen=True, slots=True)
class Position:
    """How a producer's cursor stands."""

    name: str
    age_seconds: float
    is_held: bool


class Line(Collector):
    """Asks every server, at the same time, when it is collected."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._asking = threading.Lock()
        self._found: tuple[Status, list[Position]] | None = None
        self._found_at = 0.0  # on the monotonic clock
        #: cursor -> its beat, and when that was new, on the monotonic clock
        self._beats: dict[str, tuple[int, float]] = {}

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return every gauge, without samples where nothing is known; scrapes that come at once get one answer."""
        with self._asking:
            if self._found is None or time.monotonic() - self._found_at > KEPT_SECONDS:
                self._found = self._look()
                self._found_at = time.monotonic()
            status, positions = self._found
        gauges = {name: GaugeMetricFamily(name, meaning, labels=labels) for name, (meaning, labels) in GAUGES.items()}
        for name, labels, value in _samples(status, positions):
            gauges[name].add_metric(labels, value)
        return gauges.values()

    def _look(self) -> tuple[Status, list[Position]]:
        settings = self._settings
        rows = Asked("SQL store", settings.database_url, "SHELVER_DATABASE_URL", _ask_cursors, settings)
        deadline = time.monotonic() + settings.connect_timeout_seconds + GRACE_SECONDS
        status = look(settings)
        rows.told(deadline)
        return status, [self._position(row) for row in rows.result or []]

    def _position(self, row: Row[Any]) -> Position:
        now = time.monotonic()
        if row.beat != self._beats.get(row.name, (None,))[0]:
            self._beats[row.name] = (row.beat, now)
        is_held = row.holder is not None and now - self._beats[row.name][1] < SILENT_SECONDS
        return Position(row.name, max(0.0, (datetime.now(UTC) - row.updated_at).total_seconds()), is_held)


def _ask_cursors(asked: Asked[Any], settings: Settings) -> list[Row[Any]]:
    columns = (cursors.c.name, cursors.c.updated_at, cursors.c.holder, cursors.c.beat)
    with reading(settings) as connection:
        return list(connection.execute(select(*columns)))


def _samples(status: Status, positions: list[Position]) -> Iterator[Sample]:
    for load in status.queues or []:
        yield "shelver_queue_depth_pages", [load.queue], load.depth
        yield "shelver_queue_in_flight_pages", [load.queue], load.in_flight
        yield "shelver_queue_paused", [load.queue], load.is_paused
        if load.oldest_seconds is not None:
            yield "shelver_queue_oldest_seconds", [load.queue], load.oldest_seconds
    for server in status.dependencies:
        name = SERVERS[server.name]
        yield "shelver_dependency_up", [name], server.problem is None
        if server.milliseconds is not None:
            yield "shelver_dependency_latency_seconds", [name], server.milliseconds / 1000
    yield from _model_samples(status)
    for reason in Reason if status.rejects is not None else ():
        yield "shelver_stored_rejects", [reason], (status.rejects or {}).get(reason, 0)
    for position in positions:
        yield "shelver_cursor_age_seconds", [position.name], position.age_seconds
        yield "shelver_cursor_held", [position.name], position.is_held


def _model_samples(status: Status) -> Iterator[Sample]:
    model = status.model
    if model.version is not None:
        yield "shelver_served_model_version", [], model.version
    if model.problem is not None or model.is_registered is not None:
        yield "shelver_served_model_ready", [], model.problem is None

"""One trace of a page, from its listing's insertion to its stored rows, as a collector gets it."""

import gzip
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis
from celery import Celery
from opentelemetry import context, trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pymongo.collection import Collection
from sqlalchemy import delete

from deploy.local.processes import Processes, Started
from deploy.local.servers import free_port
from tests.conftest import command
from tests.integration.conftest import register
from tests.integration.queues import wait_for
from tests.pictures import listing
from trainer.run import Run
from worker.contract.database import Database
from worker.contract.messages import TASK, Page
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.tables import models

Listings = Collection[dict[str, object]]
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

STAGES = ["catalog", "model", "known", "stack", "predict", "save"]
SECRETS = ("geheim", "Bearer", "redis://", "mongodb://", "sqlite://")


@dataclass(frozen=True)
class Seen:
    """A span as it arrived; times in seconds since the epoch, None for no parent."""

    service: str
    name: str
    trace: str
    id: str
    parent: str | None
    began: float
    ended: float
    is_failed: bool
    attributes: dict[str, object]


class Receiver(ThreadingHTTPServer):
    """An OpenTelemetry collector, as far as OTLP over HTTP goes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[bytes] = []
        self.authorizations: set[str | None] = set()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server_port}",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20geheim",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        }

    def spans(self) -> list[Seen]:
        return sorted((each for request in self.requests for each in _seen(request)), key=lambda span: span.began)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        self.server.authorizations.add(self.headers["Authorization"])
        self.server.requests.append(gzip.decompress(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


def _seen(request: bytes) -> Iterator[Seen]:
    for resource in ExportTraceServiceRequest.FromString(request).resource_spans:
        service = {each.key: each.value.string_value for each in resource.resource.attributes}["service.name"]
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            yield Seen(
                service,
                span.name,
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex() or None,
                span.start_time_unix_nano / 1e9,
                span.end_time_unix_nano / 1e9,
                span.status.code == span.status.STATUS_CODE_ERROR,
                {each.key: each.value.string_value or each.value.int_value for each in span.attributes},
            )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def settings(line: Settings, redis_url: str, tmp_path: Path) -> Settings:
    """The line on an empty Redis."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    return line.model_copy(update={"state_folder": str(tmp_path / "state")})


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Processes]:
    own = Processes(tmp_path / "logs")
    yield own
    own.stop()


@pytest.fixture
def worker(settings: Settings, own: Processes) -> Callable[[dict[str, str]], Started]:
    """Start a worker with two children and these variables."""

    def start(variables: dict[str, str]) -> Started:
        environment = {**os.environ, **settings.environment(), **variables}
        started = own.start("worker", [*command("shelver-worker"), "run", "--concurrency", "2"], environment)
        started.wait_for(r"@\S+ ready")
        return started

    return start


def children(spans: list[Seen], parent: Seen) -> list[Seen]:
    return [each for each in spans if each.parent == parent.id]


def test_a_listing_is_one_trace_until_its_row_is_stored(
    settings: Settings,
    own: Processes,
    worker: Callable[[dict[str, str]], Started],
    receiver: Receiver,
    listings: Listings,
) -> None:
    """From the insertion, by way of the watcher and a worker's stages, all of it sent at the latest when both stop."""
    started = worker(receiver.environment)
    environment = {**os.environ, **settings.environment(), **receiver.environment}
    own.start("watch", [*command("shelver-producer"), "watch"], environment).wait_for("watching")
    inserted = time.time()
    listings.insert_one(listing(1))
    started.wait_for("page done")
    own.stop()

    spans = receiver.spans()
    enqueue, page, *stages = spans
    assert len({each.trace for each in spans}) == 1
    assert (enqueue.name, enqueue.service, enqueue.parent) == ("enqueue", "shelver-producer", None)
    assert inserted - 1 < enqueue.began < enqueue.ended < page.began
    assert enqueue.attributes == {"shelver.queue": "new", "shelver.products": 1}
    assert (page.name, page.service, page.parent) == ("classify_page", "shelver-worker", enqueue.id)
    assert page.attributes.pop("shelver.page") in started.log.read_text()
    assert page.attributes == {
        "shelver.queue": "new",
        "shelver.products": 1,
        "shelver.attempt": 1,
        "shelver.result": "done",
        "shelver.model_version": 1,
    }
    assert list(dict.fromkeys(each.name for each in stages)) == STAGES
    assert {each.parent for each in stages} == {page.id}
    assert stages[-1].ended == max(each.ended for each in stages) <= page.ended
    assert not any(each.is_failed for each in spans)
    assert receiver.authorizations == {"Bearer geheim"}
    sent = b"".join(receiver.requests)
    assert not [each for each in SECRETS if each.encode() in sent]


def test_whatever_becomes_of_a_page_stays_in_its_trace(
    settings: Settings,
    run: Run,
    own: Processes,
    worker: Callable[[dict[str, str]], Started],
    receiver: Receiver,
    listings: Listings,
    redis_url: str,
) -> None:
    """Be it our caller's own: attempts, and parts of what is cut. Headers that are no trace's begin one."""
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        connection.execute(delete(models))
    listings.insert_one(listing(1))
    started = worker({**receiver.environment, "OTEL_SERVICE_NAME": "shelves"})
    caller = trace.SpanContext(7, 8, is_remote=False, trace_flags=trace.TraceFlags(1))
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(caller)))
    try:
        with closing(Pages(settings)) as pages:
            pages.send(Page((1,)))
            started.wait_for("page goes back")
            register(run, settings)
            started.wait_for("page done")
            pages.send(Page(tuple(range(2, 1003))))
    finally:
        context.detach(token)
    headers = {"traceparent": 5, "tracestate": ["a"]}
    Celery(broker=redis_url).send_task(TASK, ({"schema": 0},), queue="new", serializer="json", headers=headers)
    started.wait_for("is dropped")
    with redis.Redis.from_url(redis_url) as client:
        wait_for(lambda: not client.llen("new") and not client.hlen("unacked"))
    own.stop()

    spans = [each for each in receiver.spans() if each.name == "classify_page"]
    assert {each.service for each in spans} == {"shelves"}
    returned, *others = [each for each in spans if each.parent == "0000000000000008"]
    assert (returned.attributes["shelver.result"], returned.is_failed) == ("returned", True)
    assert returned.attributes["error.type"] == "NotRegistered"
    assert [each.attributes["shelver.result"] for each in others[-2:]] == ["done", "cut"]
    parts = children(spans, others[-1])
    assert sum(each.attributes["shelver.products"] for each in parts) == 1001
    assert {each.trace for each in [returned, *others, *parts]} == {f"{7:032x}"}
    (dropped,) = (each for each in spans if each.attributes["shelver.result"] == "dropped")
    assert dropped.parent is None


def test_without_a_collector_pages_are_done(
    settings: Settings, own: Processes, worker: Callable[[dict[str, str]], Started], listings: Listings
) -> None:
    """One line of the log says so, whatever the number of pages and children, with nothing secret of the URL."""
    started = worker(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://ops:geheim@127.0.0.1:{free_port()}/geheim",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
            "OTEL_BSP_SCHEDULE_DELAY": "10",
        }
    )
    listings.insert_many([listing(each) for each in range(5)])
    with closing(Pages(settings)) as pages:
        for each in range(5):
            pages.send(Page((each,)))
            wait_for(lambda pages=each: started.log.read_text().count("page done") > pages)
    own.stop()
    log = started.log.read_text()
    assert log.count("traces may be lost") == 1
    assert "Connection refused" in log
    assert "opentelemetry" not in log.replace("[opentelemetry.exporter.otlp.proto.http.trace_exporter]", "", 1)
    assert "geheim" not in log

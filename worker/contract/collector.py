"""Spans on their way to an OpenTelemetry collector. Whoever imports this imports OpenTelemetry."""

import logging
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from mmap import mmap

from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from worker.contract.errors import ShelverError

#: a process that ends waits so long for a collector to take its last spans
CLOSE_SECONDS = 2
LONGEST_TEXT = 250
#: what may hold a secret of the collector's URL
URL = re.compile(r" with url: \S+|\S+://\S+")
#: shared with the children that are forked later: whether any process has said that spans are lost
_told = mmap(-1, 1)


class Exporter(trace_exporter.OTLPSpanExporter):
    """OpenTelemetry's own, and whether the last spans arrived."""

    are_lost = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; a collector that is away is waited for, in a thread that nobody waits for."""
        result = super().export(spans)
        self.are_lost = result is not SpanExportResult.SUCCESS
        return result


class Collector:
    """Spans of one process. Build it after fork: it has a thread, which sends them every few seconds."""

    def __init__(self, service: str):
        self._exporter = Exporter()
        # Its own default is the program's name, and what it is given would go before the variables.
        named = OTELResourceDetector().detect().attributes.get(SERVICE_NAME, service)
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: named}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("shelver")

    @contextmanager
    def span(
        self,
        name: str,
        kind: str,
        parent: Mapping[str, object] | None,
        began: float | None,
        attributes: Mapping[str, object],
    ) -> Iterator[None]:
        """Make what happens inside a span. Headers of a stranger's message harm nobody."""
        context = None
        if parent is not None:
            headers = {name: value for name, value in parent.items() if isinstance(value, str)}
            context = TraceContextTextMapPropagator().extract(headers)
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=SpanKind[kind.upper()],
            start_time=None if began is None else int(min(began, time.time()) * 1e9),
            attributes=_named(attributes),
            record_exception=False,  # a traceback may hold anything
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                _fail(span, error)
                raise

    def note(self, attributes: Mapping[str, object]) -> None:
        """Add to the attributes of the current span."""
        get_current_span().set_attributes(_named(attributes))

    def close(self) -> None:
        """Send what is left, unless what was sent last did not arrive."""
        if not self._exporter.are_lost:
            sending = threading.Thread(target=self._provider.shutdown, daemon=True)
            sending.start()
            sending.join(CLOSE_SECONDS)


class _Once(logging.Filter):
    """Lets pass the first of an exporter's complaints, without the URL; there is one at every attempt."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _told[0]:
            return False
        _told[0] = True
        reason = URL.sub("", record.getMessage())
        record.msg, record.args = "traces may be lost, pages are not; this is told once: %s", (reason,)
        return True


def try_out(service: str) -> None:
    """Raise whatever the OTEL_ variables lead to, and have OpenTelemetry say little from then on."""
    logging.getLogger("opentelemetry.util.re").setLevel(logging.CRITICAL)  # shows headers that it cannot read
    Collector(service).close()
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = logging.getLogger(trace_exporter.__name__)
    exporter.setLevel(logging.WARNING)
    exporter.addFilter(_Once())


def _fail(span: Span, error: BaseException) -> None:
    """Mark a span as failed, with what the log says, which is free of secrets; of any other error with its kind."""
    told = next((each for each in (error, error.__cause__) if isinstance(each, ShelverError)), None)
    kind = type(told or error.__cause__ or error).__name__
    span.set_status(StatusCode.ERROR, _text(told or kind))
    span.set_attribute("error.type", kind)


def _named(attributes: Mapping[str, object]) -> dict[str, str | int]:
    """Return attributes under our own prefix, as OpenTelemetry takes them; those that are None are left out."""
    known = {f"shelver.{name}": value for name, value in attributes.items() if value is not None}
    return {name: value if isinstance(value, int) else _text(value) for name, value in known.items()}


def _text(value: object) -> str:
    """Return text that protobuf takes: it has no half surrogate pairs, which JSON may hold."""
    return str(value).encode(errors="backslashreplace").decode()[:LONGEST_TEXT]

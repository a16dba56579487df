"""Traces, where OpenTelemetry's variables ask for them: one of a page, from its listing's insertion to its stored rows.

OTEL_EXPORTER_OTLP_ENDPOINT, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, turns them on; without, we import nothing of
OpenTelemetry, and a hook costs next to nothing. A page's place in its trace travels with its message, in W3C's headers.
"""

import os
import sys
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

from worker.contract.errors import ShelverError

if TYPE_CHECKING:
    from worker.contract.collector import Collector

Kind = Literal["internal", "producer", "consumer"]

#: any of them says where the collector is
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
#: headers of a message
FIELDS = ("traceparent", "tracestate")

#: at most one, the service's name; none while traces are off
_service: list[str] = []
#: by process, since no thread survives a fork
_collectors: dict[int, "Collector"] = {}
_building = threading.Lock()


class TracesError(ShelverError):
    """The OTEL_ variables ask for traces that cannot be had."""


def set_up(service: str) -> None:
    """Trace from now on under this name, if OTEL_ variables ask for it and give no other name; raises TracesError.

    Children that are forked later trace, too.
    """
    endpoint = _first(ENDPOINTS)
    if not endpoint or _is("OTEL_SDK_DISABLED", "true") or _is("OTEL_TRACES_EXPORTER", "none"):
        return
    try:
        from worker.contract import collector
    except ModuleNotFoundError as error:
        raise TracesError(
            f"{error.name} is missing: pip install 'shelver[traces]', or unset {' and '.join(ENDPOINTS)}"
        ) from error
    if not endpoint.startswith(("http://", "https://")):
        raise TracesError(f"{' or '.join(ENDPOINTS)} must start with http:// or https://, usually with port 4318")
    if (_first(PROTOCOLS) or PROTOCOL) != PROTOCOL:
        raise TracesError(f"Shelver sends traces by {PROTOCOL} alone, usually to port 4318: unset {PROTOCOLS[1]}")
    try:
        collector.try_out(service)
    except Exception as error:  # whatever OpenTelemetry makes of its variables
        raise TracesError(f"OpenTelemetry finds a fault with the OTEL_ variables: {error}") from error
    _service[:] = [service]


def span(
    name: str,
    *,
    kind: Kind = "internal",
    parent: Mapping[str, object] | None = None,
    began: float | None = None,
    **attributes: object,
) -> AbstractContextManager[None]:
    """Trace what happens inside, and whether it fails.

    `parent` are the headers of a message; without, it is part of the span around it. `began` is when it began, in
    seconds since the epoch. Attributes must be nothing secret.
    """
    if not _service:
        return nullcontext()
    return _collector().span(name, kind, parent, began, attributes)


def note(**attributes: object) -> None:
    """Add to the attributes of the span around it."""
    if _service:
        _collector().note(attributes)


def carrier() -> dict[str, str]:
    """Return the headers by which a message goes on with the trace around it, be it ours or our caller's."""
    headers: dict[str, str] = {}
    if "opentelemetry.trace" in sys.modules:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(headers)
    return headers


def close(**_: object) -> None:
    """Send what this process has left, within two seconds; it traces nothing afterwards."""
    if collector := _collectors.pop(os.getpid(), None):
        _service.clear()
        collector.close()


def _collector() -> "Collector":
    from worker.contract.collector import Collector

    with _building:
        process = os.getpid()
        if process not in _collectors:
            _collectors[process] = Collector(_service[0])
        return _collectors[process]


def _first(names: tuple[str, ...]) -> str:
    """Return the first of these variables that is set; an empty one is not, says OpenTelemetry."""
    return next(filter(None, (os.environ.get(name, "").strip() for name in names)), "")


def _is(name: str, value: str) -> bool:
    return os.environ.get(name, "").strip().lower() == value

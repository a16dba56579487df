"""Which OTEL_ variables turn traces on, and what they cost where none does."""

import os
import subprocess
import sys

import pytest

from tests.conftest import command

ON = "OTEL_EXPORTER_OTLP_ENDPOINT"
WATCH = [*command("shelver-producer"), "watch"]
#: as if the extra were not installed
BARE = (
    f"import sys; sys.modules['opentelemetry.exporter'] = None; sys.argv = {WATCH}; import producer.cli as c; c.main()"
)
USE = """
import sys
import worker.tasks, producer.cli
from worker.contract import traces
traces.set_up("shelver")
with traces.span("enqueue", queue="new"):
    traces.note(products=1)
    headers = traces.carrier()
traces.close()
print(bool(headers), "opentelemetry.sdk.trace" in sys.modules)
"""


def said(*arguments: str, **variables: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env={**clean, **variables})
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {ON: ""},
        {ON: "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "True"},
        {ON: "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_who_does_not_ask_for_traces_loads_nothing(variables: dict[str, str]) -> None:
    """But for what redis-py loads by itself; nor is anything put into a message."""
    assert said(sys.executable, "-c", USE, **variables) == "False False\n"


def test_who_asks_for_traces_has_them() -> None:
    """What is enqueued within a span goes on with its trace."""
    endpoint = "http://127.0.0.1:9"
    assert said(sys.executable, "-c", USE, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=endpoint).startswith("True True\n")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({ON: "ops:geheim@collector:4318"}, f"{ON} must start with http:// or https://, usually with port 4318"),
        ({ON: "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "traces by http/protobuf alone"),
        ({ON: "http://collector:4318", "OTEL_BSP_MAX_QUEUE_SIZE": "1"}, "less than or equal to max_queue_size"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(variables: dict[str, str], told: str) -> None:
    """At the start of the command."""
    output = said(*WATCH, **variables)
    assert output.startswith("error: ")
    assert told in output
    assert output.count("\n") == 1
    assert "geheim" not in output


def test_traces_without_the_extra_name_it() -> None:
    """And the variables, for whoever does not want them."""
    output = said(sys.executable, "-c", BARE, **{ON: "http://collector:4318"})
    assert output.startswith("error: opentelemetry.exporter.otlp is missing: pip install 'shelver[traces]', or unset")

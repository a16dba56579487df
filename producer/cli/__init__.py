"""shelver-producer: bring listings to the queue."""

from typing import NoReturn

import typer

from producer.cli import backfilling, dumping, loading, reconciling, serving, watching
from worker.contract import traces
from worker.contract.command import run as run_command

app = typer.Typer(
    name="shelver-producer",
    help="Bring listings from MongoDB to the workers' queues. Everything is set by SHELVER_ variables; "
    "`shelver-worker settings` lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for command in (
    *watching.COMMANDS,
    *backfilling.COMMANDS,
    *reconciling.COMMANDS,
    *loading.COMMANDS,
    *dumping.COMMANDS,
    *serving.COMMANDS,
):
    app.command()(command)


@app.callback()
def begin() -> None:
    """Trace what is enqueued, where OTEL_EXPORTER_OTLP_ENDPOINT asks for it."""
    traces.set_up("shelver-producer")


def main() -> NoReturn:
    """Run the command line."""
    run_command(app)

"""run, migrate, show, settings: what every installation needs."""

import logging
from typing import TYPE_CHECKING, Annotated

import click
import typer
from rich.console import Console
from rich.table import Column, Table

from worker.cli.arguments import to_key
from worker.contract import settings as configuration
from worker.contract import traces
from worker.contract.errors import ShelverError
from worker.contract.messages import Queue
from worker.contract.urls import redact

if TYPE_CHECKING:
    from worker.lookup import Found


def run(context: typer.Context) -> None:
    """Take pages until stopped. Celery's own options pass through, e.g. --concurrency 4 or -Q new.

    It has two children a core, or as many as --concurrency says: while one waits for the model, another decodes. Each
    has a page in hand, and takes about 150 MB where pixels are sent.

    By default both queues are served, `new` ahead of `backfill`. SIGTERM finishes or returns the page in hand.

    With SHELVER_METRICS_PORT it serves its metrics, those of its children summed up, to Prometheus.
    With OTEL_EXPORTER_OTLP_ENDPOINT it sends traces there.
    """
    settings = configuration.load()
    for chatty in ("celery.worker.strategy", "celery.app.trace", "celery.worker.request"):
        logging.getLogger(chatty).setLevel(logging.ERROR)  # the task itself logs one line a page
    from worker import logs, schema

    logs.set_up(settings.log_format)
    traces.set_up("shelver-worker")
    schema.check(settings)
    from celery.bin.base import CLIContext
    from celery.bin.worker import worker  # alone: with Celery's other commands every child has 7 to 11 MB more

    from worker.metrics import slots
    from worker.tasks import app as celery  # here, so that the other commands need no Celery

    slots.start(settings)
    defaults = ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    if not any(each.startswith(("-Q", "--queues")) for each in context.args):
        defaults += ["--queues", ",".join(Queue)]
    try:
        own = CLIContext(celery, no_color=False, workdir=None, quiet=True)
        worker.main([*defaults, *context.args], standalone_mode=False, obj=own)
    except click.ClickException as error:
        raise ShelverError(f"{error.format_message()}: celery worker --help lists what passes through") from error


def migrate() -> None:
    """Create the tables in the SQL store, or bring them to this version. Safe to run twice, or by two at once."""
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    from worker import schema

    settings = configuration.load()
    revision = schema.migrate(settings)
    typer.echo(f"{redact(settings.database_url)} is at schema {revision}")


def show(
    ids: Annotated[list[str], typer.Argument(help="product ids, as in the catalog")],
    candidates: Annotated[int, typer.Option(min=0, help="how many of the ranked candidates to print")] = 5,
) -> None:
    """Print what is known of products: predicted, rejected with the reason, pending or unknown, with names."""
    from worker import lookup

    console = Console(soft_wrap=True, highlight=False, markup=False)
    numbers = [to_key(each) for each in ids]
    for asked, known in zip(ids, lookup.look_up(configuration.load(), numbers), strict=True):
        console.print(f"{asked}  {known.status}")
        if known.reject:
            console.print(f"  rejected: {known.reject}")
        for found in known.predictions:
            _print_prediction(console, found, candidates)


def _print_prediction(console: Console, found: "Found", candidates: int) -> None:
    at = f"{found.predicted_at:%Y-%m-%d %H:%M:%S} UTC"
    console.print(f"  model {found.model}, {found.picture_count} picture(s), {at}")
    console.print("  " + " > ".join(f"{shelf.name} {shelf.score:.3f}" for shelf in found.path))
    if found.listed:
        console.print(f"  listed by its seller under {found.listed}")
    for rank, shelf in enumerate(found.candidates[:candidates], start=1):
        console.print(f"    {rank}. {shelf.score:.4f}  {shelf.name} ({shelf.category_id})")


def settings(
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="print a table of Markdown, as in docs/operations.md")
    ] = False,
) -> None:
    """List every setting with its default and its meaning."""
    rows = [
        (configuration.variable(name), str(field.default), field.description or "")
        for name, field in configuration.Settings.model_fields.items()
    ]
    if as_markdown:
        typer.echo("| variable | default | meaning |\n| --- | --- | --- |")
        for name, default, meaning in rows:
            shown = f"`{default}`" if default else ""
            typer.echo(f"| `{name}` | {shown} | {meaning.replace('|', '&#124;').replace('<', '&lt;')} |")
        return
    table = Table(Column("variable", no_wrap=True), "default", "meaning")
    for row in rows:
        table.add_row(*row)
    Console().print(table)

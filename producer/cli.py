"""shelver-producer: bring listings to the queue."""

import json
import logging
import signal
import threading
import time
from collections import deque
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from producer import backfill as backfilling
from producer import load as loading
from producer.listings import open_listings
from producer.progress import listings_progress
from producer.queue import Pages
from producer.reconcile import Reconciler
from producer.watch import Watcher
from worker.contract import settings as configuration
from worker.contract.command import run as run_command
from worker.contract.messages import Queue

app = typer.Typer(
    name="shelver-producer",
    help="Bring listings from MongoDB to the workers' queues. Everything is set by SHELVER_ variables; "
    "`shelver-worker settings` lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
logger = logging.getLogger("producer")


@app.command()
def load(
    dump: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="a BSON dump, e.g. train.bson")
    ],
    tolerate: Annotated[
        bool, typer.Option("--tolerate", help="accept a damaged dump: exit 0 with what was sound")
    ] = False,
) -> None:
    """Restore a BSON dump into MongoDB. Safe to repeat: documents that are there already are left alone."""
    settings = configuration.load()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with open_listings(settings) as listings, Progress(*columns) as progress:
        task = progress.add_task(f"loading {dump.name}", total=dump.stat().st_size)
        loaded = loading.load(listings, dump, lambda size: progress.advance(task, size))
    typer.echo(f"{loaded.inserted:,} inserted, {loaded.already_there:,} were there already")
    if loaded.without_id:
        logger.warning("%d documents without _id were left out: they could not be told apart", loaded.without_id)
    if loaded.refused:
        logger.warning("%d documents were refused by MongoDB", loaded.refused)
    for problem in (loaded.refusal, loaded.damage):
        if problem and not tolerate:
            raise problem
        if problem:
            logger.warning("%s", problem)


@app.command()
def watch(
    from_now: Annotated[
        bool, typer.Option("--from-now", help="forget the stored position and begin with the next change")
    ] = False,
) -> None:
    """Enqueue every newly listed product, until stopped. Goes on where it was after a restart."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    Watcher(configuration.load(), stopped, from_now).run()


@app.command()
def backfill(
    first: Annotated[int | None, typer.Option("--from", help="first id, included")] = None,
    last: Annotated[int | None, typer.Option("--to", help="last id, included")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only count")] = False,
) -> None:
    """Enqueue what is in the catalog already, in order of id, on the queue that gives way to new listings."""
    settings = configuration.load()
    where = backfilling.id_range(first, last)
    with open_listings(settings) as listings:
        total = backfilling.count(listings, where)
        if dry_run:
            typer.echo(f"{total:,} products would be enqueued")
            return
        with listings_progress() as progress, closing(Pages(settings)) as pages:
            ids = progress.track(backfilling.ids(listings, where), total, description="enqueueing")
            done = sum(pages.send_all(ids, Queue.BACKFILL))
    typer.echo(f"{done:,} products enqueued on {Queue.BACKFILL}")


@app.command()
def reconcile(
    first: Annotated[int | None, typer.Option("--from", min=-(2**63), max=2**63 - 1, help="first id, included")] = None,
    last: Annotated[int | None, typer.Option("--to", min=-(2**63), max=2**63 - 1, help="last id, included")] = None,
    model_version: Annotated[
        int | None,
        typer.Option("--model-version", min=0, max=2**31 - 1, help="compare with this version, not the newest"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only count")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the summary as one line of JSON")] = False,
) -> None:
    """Enqueue every listing that has neither prediction nor reject, e.g. after Redis lost its queues.

    The catalog is compared with the store under the newest registered version
    of SHELVER_MODEL_NAME, both in order of id. No picture is read: a listing
    that was given other pictures counts as predicted; watch, enqueue or
    backfill bring it to the workers, who look at the pictures.

    Safe to run from cron, and twice: a product is predicted once per model and
    pictures. What still waits in a queue counts as missing and is enqueued
    again, so run it when the queues are short.

    Exit code 0: nothing was missing, or all of it was enqueued (with --dry-run:
    counted). 1: an error, told in one sentence; what was enqueued before it
    stays enqueued.
    """
    settings = configuration.load()
    started = time.monotonic()
    where = backfilling.id_range(first, last)
    enqueued = 0
    with closing(Reconciler(settings)) as reconciler, open_listings(settings) as listings:
        model = reconciler.model(model_version)
        total = backfilling.count(listings, where)
        with listings_progress() as progress, closing(Pages(settings)) as pages:
            ids = progress.track(backfilling.ids(listings, where), total, description="reconciling")
            missing = reconciler.missing(ids, model)
            if dry_run:
                deque(missing, maxlen=0)
            else:
                enqueued = sum(pages.send_all(missing, Queue.BACKFILL))
    tally = reconciler.tally
    if as_json:
        facts = {"model": settings.model_name, "version": model.version, **asdict(tally), "enqueued": enqueued}
        typer.echo(json.dumps({**facts, "dry_run": dry_run, "seconds": round(time.monotonic() - started, 3)}))
        return
    found = f"{tally.predicted:,} predicted, {tally.rejected:,} rejected, {tally.missing:,} missing"
    typer.echo(
        f"{tally.listings:,} listings against {settings.model_name} {model.version}: {found}; "
        f"{enqueued:,} enqueued on {Queue.BACKFILL}"
    )


@app.command()
def enqueue(
    ids: Annotated[list[int], typer.Argument(help="product ids, as in the catalog")],
    queue: Annotated[Queue, typer.Option(help="new: a person waits; backfill: nobody does")] = Queue.NEW,
) -> None:
    """Enqueue single products. Twice does no harm: a product is predicted once per model and pictures."""
    from producer.queue import enqueue as enqueue_ids

    typer.echo(f"{enqueue_ids(ids, queue)} products enqueued on {queue}")


def main() -> NoReturn:
    """Run the command line."""
    run_command(app)

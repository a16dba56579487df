"""backfill, reconcile, enqueue: what is in the catalog already."""

import json
import time
from collections import deque
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from producer import backfill as backfilling
from producer.listings import open_listings
from producer.progress import listings_progress
from producer.queue import Pages
from producer.queue import enqueue as enqueue_ids
from producer.reconcile import Reconciler
from worker.contract import settings as configuration
from worker.contract.messages import Queue


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


def enqueue(
    ids: Annotated[list[int], typer.Argument(help="product ids, as in the catalog")],
    queue: Annotated[Queue, typer.Option(help="new: a person waits; backfill: nobody does")] = Queue.NEW,
) -> None:
    """Enqueue single products. Twice does no harm: a product is predicted once per model and pictures."""
    typer.echo(f"{enqueue_ids(ids, queue)} products enqueued on {queue}")


COMMANDS = (backfill, reconcile, enqueue)

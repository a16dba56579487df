"""reconcile, enqueue: what is in the catalog and not on its way."""

import json
import time
from collections import deque
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from typing import Annotated

import typer

from producer.calls import enqueue as enqueue_ids
from producer.cli.options import INT64, Depth, DryRun, First, Last, Rate
from producer.filling import plan as planning
from producer.filling.backfill import each_id
from producer.filling.backlog import Backlog
from producer.filling.reconcile import Reconciler
from producer.progress import listings_progress, telling
from producer.selection import Selection
from worker.contract import settings as configuration
from worker.contract.command import INTERRUPTED
from worker.contract.messages import Queue
from worker.contract.stopping import stopped_by_signals


def reconcile(
    first: First = None,
    last: Last = None,
    model_version: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, help="only predictions by this version count")
    ] = None,
    depth: Depth = None,
    rate: Rate = None,
    dry_run: DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the summary as one line of JSON")] = False,
) -> None:
    """Enqueue every listing that has neither prediction nor reject, e.g. after Redis lost its queues.

    The catalog is compared with the store, both in order of id. A prediction by
    any version of SHELVER_MODEL_NAME counts, unless --model-version names one;
    for a new version to predict what an old one did there is backfill
    --predicted-by. No picture is read: a listing that was given other pictures
    counts as predicted; watch, enqueue or backfill bring it to the workers, who
    look at the pictures.

    Safe to run from cron, and twice: a product is predicted once per model and
    pictures. What still waits in a queue counts as missing and is enqueued
    again, so run it when the queues are short.

    Exit code 0: nothing was missing, or all of it was enqueued (with --dry-run:
    counted). 1: an error, told in one sentence; what was enqueued before it
    stays enqueued. 130: stopped by Ctrl-C or SIGTERM.
    """
    settings, stopped = configuration.load(), stopped_by_signals()
    started = time.monotonic()
    enqueued = 0
    with closing(Reconciler(settings)) as reconciler, listings_progress() as progress:
        plan = planning.of_catalog(settings, Selection(first, last), reconciler.database)
        ids = progress.track(each_id(plan.source(None), stopped), plan.total, description="reconciling")
        missing = reconciler.missing(ids, model_version)
        if dry_run:
            deque(missing, maxlen=0)
        else:
            with closing(Backlog(settings, stopped, depth, rate, telling(progress))) as backlog:
                while (page := tuple(islice(missing, settings.page_size))) and backlog.send(page):
                    enqueued += len(page)
    tally = reconciler.tally
    if as_json:
        facts = {"model": settings.model_name, "version": model_version, **asdict(tally), "enqueued": enqueued}
        typer.echo(json.dumps({**facts, "dry_run": dry_run, "seconds": round(time.monotonic() - started, 3)}))
    else:
        which = "" if model_version is None else f" {model_version}"
        found = f"{tally.predicted:,} predicted, {tally.rejected:,} rejected, {tally.missing:,} missing"
        typer.echo(
            f"{tally.listings:,} listings against {settings.model_name}{which}: {found}; "
            f"{enqueued:,} enqueued on {Queue.BACKFILL}"
        )
    if stopped.is_set():
        raise typer.Exit(INTERRUPTED)


def enqueue(
    ids: Annotated[list[int], typer.Argument(**INT64, help="product ids, as in the catalog")],
    queue: Annotated[Queue, typer.Option(help="new: a person waits; backfill: nobody does")] = Queue.NEW,
) -> None:
    """Enqueue single products. Twice does no harm: a product is predicted once per model and pictures."""
    typer.echo(f"{enqueue_ids(ids, queue)} products enqueued on {queue}")


COMMANDS = (reconcile, enqueue)

"""backfill: what is in the catalog already, all of it or some."""

import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from producer.cli.options import Depth, DryRun, First, Last, ModelVersion, Rate, Restart, Since, Until
from producer.cursors import Cursor
from producer.filling import plan as planning
from producer.filling.backfill import Backfill
from producer.filling.backlog import Backlog
from producer.filling.id_file import open_ids
from producer.filling.plan import Plan
from producer.progress import listings_progress, telling
from producer.selection import Selection
from worker.contract import settings as configuration
from worker.contract.command import INTERRUPTED
from worker.contract.database import Database
from worker.contract.messages import Queue
from worker.contract.stopping import stopped_by_signals


def backfill(
    first: First = None,
    last: Last = None,
    since: Since = None,
    until: Until = None,
    where: Annotated[
        str, typer.Option("--filter", metavar="JSON", help='a MongoDB filter, e.g. {"brand": "x"}')
    ] = "{}",
    category: Annotated[
        list[int] | None, typer.Option(help="listed by its seller there or below, any level; may be repeated")
    ] = None,
    without_prediction: Annotated[
        bool, typer.Option("--without-prediction", help="not predicted yet by the model")
    ] = False,
    below_score: Annotated[
        float | None, typer.Option(min=0, max=1, help="predicted by the model with a score below this")
    ] = None,
    model_version: ModelVersion = None,
    predicted_by: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**31 - 1, metavar="VERSION", help="whose latest prediction is by this version of the model"
        ),
    ] = None,
    ids_file: Annotated[
        Path | None,
        typer.Option(help="these ids, one a line; - for standard input"),
    ] = None,
    depth: Depth = None,
    rate: Rate = None,
    restart: Restart = False,
    dry_run: DryRun = False,
) -> None:
    """Enqueue what is in the catalog already, in order of id, on the queue that gives way to new listings.

    All conditions hold for each product; without any it is the whole catalog.
    --since and --until are UTC unless they say otherwise, and go by the field that
    SHELVER_MONGO_ORDER_FIELD names. --without-prediction and --below-score go by
    SHELVER_MODEL_NAME, in its newest version or in --model-version; --predicted-by 1
    has the served version predict what version 1 did, after a promotion or a rollback.
    What the served model has predicted already from the same pictures costs workers
    one look.

    Never more than --depth pages wait on the queue: the backfill waits for room,
    and says so. One that was stopped or killed goes on where it was when the same
    command is run again, but --predicted-by begins at the first: what has been
    predicted meanwhile is left out by itself. A server that fails once it has begun
    is waited for.

    Exit code 0: all is enqueued (with --dry-run: counted). 1: an error, told in
    one sentence; what was enqueued before it stays enqueued. 130: stopped by
    Ctrl-C or SIGTERM.
    """
    selection = Selection(
        *(first, last, since, until, where, tuple(category or ())),
        *(without_prediction, below_score, model_version, predicted_by),
    )
    _check(selection, ids_file)
    settings, stopped = configuration.load(), stopped_by_signals()
    with ExitStack() as stack:
        if ids_file:
            plan = planning.of_file(stack.enter_context(open_ids(ids_file)))
        else:
            database = stack.enter_context(closing(Database(settings.database_url)))
            plan = planning.of_catalog(settings, selection, database)
        if dry_run:
            _count(plan, stopped)
        else:
            progress = stack.enter_context(listings_progress())
            backlog = stack.enter_context(closing(Backlog(settings, stopped, depth, rate, telling(progress))))
            cursor = stack.enter_context(closing(Cursor(settings, plan.name)))
            work = Backfill(cursor, backlog, settings.page_size, stopped)
            is_whole = work.begin(restart or not plan.goes_on) and _enqueue(plan, work, progress)
            progress.stop()
            _tell(plan, work, is_whole)


def _check(selection: Selection, ids_file: Path | None) -> None:
    versioned = selection.without_prediction or selection.below_score is not None
    if selection.without_prediction + (selection.below_score is not None) + (selection.predicted_by is not None) > 1:
        raise typer.BadParameter("--without-prediction, --below-score and --predicted-by: give one of them")
    if selection.model_version is not None and not versioned:
        raise typer.BadParameter("--model-version goes with --without-prediction or --below-score")
    if ids_file and selection != Selection():
        raise typer.BadParameter("--ids-file names the products itself: leave the other conditions out")


def _count(plan: Plan, stopped: threading.Event) -> None:
    total = plan.total
    if plan.make_wanted or total is None:
        total, wanted = 0, plan.wanted()
        with listings_progress() as progress:
            task = progress.add_task("counting", total=plan.total)
            for block in plan.source(None):
                total += sum(wanted(identity) for _, identity in block)
                progress.advance(task, len(block))
                if stopped.is_set():
                    raise typer.Exit(INTERRUPTED)
    typer.echo(f"{total:,} products would be enqueued")


def _enqueue(plan: Plan, work: Backfill, progress: Progress) -> bool:
    """Do what is left, with the bar; say whether that is all, and not what was done until a stop."""
    if work.done.scanned:
        telling(progress)(f"going on after {work.done.after}, {work.done.scanned:,} ids from the beginning")
    task = progress.add_task("enqueueing", total=plan.total, completed=work.done.scanned)
    return work.run(plan.source, plan.wanted, lambda count: progress.advance(task, count))


def _tell(plan: Plan, work: Backfill, is_whole: bool) -> None:
    told = f"{work.done.enqueued:,} products enqueued on {Queue.BACKFILL}"
    if not is_whole:
        goes_on = plan.goes_on and work.done.after is not None
        place = f"goes on after {work.done.after}" if goes_on else "begins at the first"
        typer.echo(f"stopped: {told}; the same command {place}")
        raise typer.Exit(INTERRUPTED)
    typer.echo(told)


COMMANDS = (backfill,)

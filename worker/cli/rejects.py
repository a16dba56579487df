"""rejects list, show, replay, drop: products that could not be predicted."""

import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from worker.cli.arguments import to_key
from worker.cli.choosing import All, AnyIds, DryRun, Ids, NewerThan, OlderThan, Reasons, choose
from worker.contract import settings as configuration
from worker.contract.errors import QueueUnavailable
from worker.contract.messages import Queue
from worker.contract.rejects import Reason

app = typer.Typer(
    name="rejects",
    help="List, look at, replay and drop rejects: products that could not be predicted, each with its reason.",
    no_args_is_help=True,
)

NEGATIVE_IDS = {"ignore_unknown_options": True}


@app.command("list")
def list_(
    reason: Reasons = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Annotated[int, typer.Option(min=0, help="how many to print, the last rejected first")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON: counts by reason, and rejects")] = False,
) -> None:
    """List rejects, the last rejected first, after their number by reason. Filters add up."""
    from worker.rejected import Rejects

    choice = choose(None, reason, older_than, newer_than)
    with closing(Rejects(configuration.load())) as rejects:
        counts, rows = rejects.counts(choice), rejects.newest(choice, limit)
    if as_json:
        typer.echo(json.dumps({"counts": counts, "rejects": [_to_json(row) for row in rows]}, indent=2))
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for each, count in counts.items():
        console.print(f"{count:>12,}  {each}")
    if rows:
        console.print(_table(rows))
    console.print(f"{len(rows):,} of {sum(counts.values()):,} rejects shown")


@app.command(context_settings=NEGATIVE_IDS)
def show(ids: Ids) -> None:
    """Print all that is stored of rejects: the reason, the detail, how often and since when."""
    from worker.rejected import Rejects

    keys = {key: each for each in ids for key in (to_key(each),)}
    with closing(Rejects(configuration.load())) as rejects:
        rows = {row.product_id: row for row in rejects.newest(choose(ids, None, None, None), len(keys))}
    for key, asked in keys.items():
        if key not in rows:
            typer.echo(f"{asked}  has no reject")
            continue
        row = rows[key]
        typer.echo(f"{asked}  {row.reason}\n  {row.detail}")
        typer.echo(f"  attempts {row.attempts}, first {_moment(row.first_at)}, last {_moment(row.last_at)}")
        if key < 0 and row.reason is Reason.BAD_ID:
            typer.echo(f"  its id is no integer: kept under {key}, and never replayed")


@app.command(context_settings=NEGATIVE_IDS)
def replay(
    ids: AnyIds = None,
    reason: Reasons = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    everything: All = False,
    queue: Annotated[Queue, typer.Option(help="new: a person waits; backfill: nobody does")] = Queue.BACKFILL,
    dry_run: DryRun = False,
) -> None:
    """Enqueue rejects again, chosen by id or filters, in pages of SHELVER_PAGE_SIZE.

    A reject stays until its product is predicted; when that fails again, its attempts go up. Rejects whose id is
    no integer are left out: nobody could find them in the catalog. Replaying twice does no harm.
    """
    from worker.rejected import Rejects, Replay

    settings, choice = configuration.load(), choose(ids, reason, older_than, newer_than, everything)
    with closing(Rejects(settings)) as rejects:
        chosen = Replay(rejects, choice)
        done = sum(1 for _ in chosen) if dry_run else _send(settings, chosen, queue)
    typer.echo(f"{done:,} rejects {'would be enqueued' if dry_run else 'enqueued'} on {queue}")
    if chosen.left_out:
        typer.echo(f"{chosen.left_out:,} left out: their ids are no integers (reason {Reason.BAD_ID})")
    _tell_missing(ids, done + chosen.left_out)


@app.command(context_settings=NEGATIVE_IDS)
def drop(
    ids: AnyIds = None,
    reason: Reasons = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    everything: All = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    dry_run: DryRun = False,
) -> None:
    """Delete rejects, chosen by id or filters, as if their products had never been tried. Asks first.

    For listings that were withdrawn. The catalog is not touched: a product that is still listed is pending then.
    """
    from worker.rejected import Rejects

    choice = choose(ids, reason, older_than, newer_than, everything)
    with closing(Rejects(configuration.load())) as rejects:
        count = sum(rejects.counts(choice).values())
        if dry_run:
            typer.echo(f"{count:,} rejects would be dropped")
        elif count and not yes:
            typer.confirm(f"Drop {count:,} rejects?", abort=True)
        if not dry_run:
            count = rejects.drop(choice)
            typer.echo(f"{count:,} rejects dropped")
    _tell_missing(ids, count)


def _send(settings: configuration.Settings, ids: Iterable[int], queue: Queue) -> int:
    from worker.contract.sender import Pages  # here, because Celery takes its time to load

    done = 0
    with closing(Pages(settings)) as pages:
        try:
            for count in pages.send_all(ids, queue):
                done += count
        except QueueUnavailable as error:
            raise QueueUnavailable(
                f"{error}; {done:,} were enqueued before, and replaying again is harmless"
            ) from error
    return done


def _tell_missing(ids: Sequence[str] | None, found: int) -> None:
    missing = len(set(map(to_key, ids or ()))) - found
    if missing > 0:
        typer.echo(f"{missing:,} of the ids have no such reject")


def _table(rows: Sequence[Any]) -> Table:
    table = Table(Column("product", justify="right", no_wrap=True), "reason", "attempts", "last (UTC)", "detail")
    for row in rows:
        table.add_row(str(row.product_id), row.reason, str(row.attempts), _moment(row.last_at), row.detail)
    return table


def _to_json(row: Any) -> dict[str, object]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row._mapping.items()}


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"

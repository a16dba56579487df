"""prune: delete what nobody asks for any more."""

import threading
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from worker.cli.arguments import to_moment
from worker.cli.choosing import DryRun
from worker.contract import settings as configuration
from worker.contract.command import INTERRUPTED
from worker.contract.errors import Unavailable
from worker.contract.stopping import stopped_by_signals

if TYPE_CHECKING:
    from worker.pruning import Part, Pruner, Versions

OlderThan = Annotated[
    datetime | None,
    typer.Option(parser=to_moment, metavar="AGE", help="only predictions stored longer ago, e.g. 30d or 8w"),
]
RejectsOlderThan = Annotated[
    datetime | None,
    typer.Option(
        parser=to_moment,
        metavar="AGE",
        help="rejects too whose products were tried for the last time longer ago; none when left out",
    ),
]
InUse = Annotated[
    int | None,
    typer.Option(min=0, max=2**31 - 1, metavar="VERSION", help="the oldest in use; else the model server is asked"),
]
KeepPrevious = Annotated[
    int, typer.Option(min=0, help="versions before the oldest in use that stay, so that going back costs nothing")
]
Keep = Annotated[
    list[int] | None,
    typer.Option(metavar="VERSION", help="a version that stays, e.g. to compare with; may be repeated"),
]
Pause = Annotated[
    float, typer.Option(min=0, max=60, help="seconds between two transactions, for the workers to write in")
]


def prune(
    older_than: OlderThan = None,
    rejects_older_than: RejectsOlderThan = None,
    in_use: InUse = None,
    keep_previous: KeepPrevious = 2,
    keep: Keep = None,
    pause: Pause = 0.05,
    dry_run: DryRun = False,
) -> None:
    """Delete predictions of superseded versions, and old rejects.

    A product's latest prediction stays, whichever version made it. Of the
    versions of SHELVER_MODEL_NAME those in use stay: the one that workers ask
    the model server for (SHELVER_SERVING_ADDRESS, SHELVER_MODEL_LABEL), and
    those that it has under the labels stable, canary and previous. So do all
    that are newer than the oldest of them and, of the older ones, the newest
    --keep-previous that have predictions. The others are superseded: they can be
    compared no more, and whoever goes back to one predicts again. Candidates go
    with their prediction; models and verdicts are not touched.

    Nothing goes while the model server does not answer, or has not loaded a
    version that has a label: wait for it, or name the oldest version in use with
    --in-use.

    A deleted reject is as if its product had never been tried: shelver-producer
    reconcile enqueues it again while it is listed.

    Workers may go on meanwhile: a transaction looks through a thousand rows, and
    leaves out what a worker has in hand. Whatever stops it, the same command
    goes on. PostgreSQL and SQLite use the room again; their files stay as large.

    Exit code 0: done (with --dry-run: counted). 1: an error, told in one
    sentence. 130: stopped by Ctrl-C or SIGTERM.
    """
    from worker.pruning import Policy, Pruner

    policy = Policy(older_than, rejects_older_than, in_use, keep_previous, frozenset(keep or ()))
    settings, stopped = configuration.load(), stopped_by_signals()
    with closing(Pruner(settings, policy, read_only=dry_run)) as pruner:
        versions = pruner.versions()
        typer.echo(f"{settings.model_name}: {_tell(versions)}")
        counts = {
            part.table.name: pruner.count(part) if dry_run else _delete(pruner, part, stopped, pause)
            for part in (pruner.predictions(versions), pruner.rejects())
        }
    told = " and ".join(f"{count:,} {name}" for name, count in counts.items())
    if stopped.is_set():
        typer.echo(f"stopped: {told} deleted; the same command goes on")
        raise typer.Exit(INTERRUPTED)
    typer.echo(f"{told} {'would be deleted' if dry_run else 'deleted'}")


def _delete(pruner: "Pruner", part: "Part", stopped: threading.Event, pause_seconds: float) -> int:
    """Delete all of it, or what is done until a stop; return how many rows that was."""
    done, total, console = 0, pruner.count(part), Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(f"deleting {part.table.name}", total=total)
        try:
            for deleted in pruner.delete(part) if total and not stopped.is_set() else ():
                done += deleted
                bar.advance(task, deleted)
                if stopped.wait(pause_seconds):
                    break
        except Unavailable as error:
            raise Unavailable(f"{error}; {done:,} {part.table.name} were deleted, the same command goes on") from error
    return done


def _tell(versions: "Versions") -> str:
    older = {"stay": versions.staying, "superseded": versions.superseded}
    told = (f"{word}: {', '.join(map(str, each)) or 'none'}" for word, each in older.items())
    return "; ".join([f"version {versions.in_use} is the oldest in use", *told])


COMMANDS = (prune,)

"""dump-new: a dump out of the catalog."""

import threading
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from producer.cli.options import DryRun, First, Last, Since, Until
from producer.dumps.new_dump import NewDump
from producer.dumps.partial import Partial
from producer.listings import open_listings
from producer.progress import listings_progress
from producer.selection import Selection
from worker.contract import settings as configuration
from worker.contract.command import INTERRUPTED
from worker.contract.stopping import stopped_by_signals


def dump_new(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="the dump to write, e.g. new.bson")],
    since: Since = None,
    until: Until = None,
    first: First = None,
    last: Last = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite FILE where it is there already")] = False,
    dry_run: DryRun = False,
) -> None:
    """Write what was listed since as a BSON dump that the trainer reads.

    Documents are {_id, category_id, imgs: [{picture}]} in ascending order of id,
    whatever the catalog calls its fields, with the category that a person
    decided on (table verdicts) where there is a verdict, else the seller's.
    Listings without an integer id, a category or a picture are left out, and
    told.

    --since and --until are UTC unless they say otherwise, and go by the field
    that SHELVER_MONGO_ORDER_FIELD names; SHELVER_MONGO_FILTER says which listings
    count. Ids and times may be combined.

    The dump grows as FILE.….part and becomes FILE when it is whole. One that was
    stopped, killed or ran out of disk goes on when the same command is run again;
    verdicts of the meantime count for what is not written yet.

    Exit code 0: FILE is whole. 1: an error, told in one sentence. 130: stopped by
    Ctrl-C or SIGTERM.
    """
    settings, stopped = configuration.load(), stopped_by_signals()
    selection = Selection(first, last, since, until)
    with open_listings(settings) as listings, closing(NewDump(listings, settings, selection)) as new:
        if dry_run:
            is_whole, told = _read(new, stopped), f"{new.products:,} products would be written"
        else:
            with Partial(file, new.name, force) as part:
                if part.count:
                    typer.echo(f"going on after id {part.last}: {part.count:,} products are in {part.part}")
                is_whole = _read(new, stopped, part)
                told = f"{part.count:,} products written to {file if is_whole else part.part}"
    typer.echo(f"{told}, {new.corrected:,} with a category that a verdict corrected")
    for kind, number in new.left_out.items():
        typer.echo(f"left out: {number:,} {kind}")
    if not is_whole:
        typer.echo("stopped; the same command goes on there")
        raise typer.Exit(INTERRUPTED)


def _read(new: NewDump, stopped: threading.Event, part: Partial | None = None) -> bool:
    """Go through the listings, and write them; say whether that is all, and not what was done until a stop."""
    after = part.last if part else None
    with listings_progress() as progress:
        for found in progress.track(new.documents(after), new.total(after), description="reading listings"):
            if part and isinstance(found, bytes):
                part.write(found)
            if stopped.is_set():
                return False
    if part:
        part.finish()
    return True


COMMANDS = (dump_new,)

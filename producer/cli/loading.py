"""load: a dump into the catalog."""

import logging
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from pymongo.errors import PyMongoError

from producer.cli.options import DryRun, Restart, share
from producer.dumps.load import Load
from producer.dumps.loaded import Loaded
from producer.dumps.portion import Portion
from producer.listings import open_listings
from producer.progress import bytes_progress
from worker.contract import settings as configuration
from worker.contract.command import INTERRUPTED
from worker.contract.dump import DumpError
from worker.contract.errors import ShelverError
from worker.contract.stopping import stopped_by_signals

logger = logging.getLogger("producer")


def load(
    dump: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, readable=True, help="a BSON dump, e.g. train.bson or train.bson.gz"
        ),
    ],
    limit: Annotated[int | None, typer.Option(min=1, help="only the first so many documents")] = None,
    sample: Annotated[
        float, typer.Option(parser=share, metavar="SHARE", help="only this share of the documents, e.g. 0.01")
    ] = 1,
    restart: Restart = False,
    tolerate: Annotated[
        bool, typer.Option("--tolerate", help="accept a damaged dump: exit 0 with what was sound")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Restore a BSON dump into MongoDB: plain, gzip or zstd, told apart by what is in the file.

    Documents go in as the bytes they are, whatever their fields are called. Safe
    to repeat: those whose _id is there already are left alone.

    A load that was stopped or killed goes on where it was when the same command
    is run again, unless the collection was dropped or the dump changed since;
    --restart begins anew. The place is kept in the SQL store (shelver-worker
    migrate makes it), and no two processes load the same dump at a time.

    --sample takes a document or not by a hash of its _id: the same ones every
    time, and those of a small sample are in every larger one. With --limit, it
    is a share of the first documents.

    Exit code 0: all is in. 1: an error, told in one sentence, among others a dump
    that is damaged, whose documents up to there are in, and documents that
    MongoDB refused, beside which all others are in. 130: stopped by Ctrl-C or
    SIGTERM.
    """
    portion = Portion(dump, limit, sample)
    loaded, damage = _count(portion) if dry_run else _load(portion, restart)
    if loaded.without_id:
        logger.warning("%d documents without _id are left out: they could not be told apart", loaded.without_id)
    for problem in (loaded.problem, damage):
        if problem and not tolerate:
            raise problem
        if problem:
            logger.warning("%s", problem)


def _count(portion: Portion) -> tuple[Loaded, DumpError | None]:
    loaded, damage, taken, latest = Loaded(), None, 0, deque([0], maxlen=1)
    with bytes_progress() as progress:
        task = progress.add_task(f"counting {portion.path.name}", total=portion.path.stat().st_size)
        try:
            for batch in portion.batches(look=latest.append):
                progress.update(task, completed=latest[0])
                loaded.count += batch.count
                loaded.without_id += batch.without_id
                taken += len(batch.documents)
        except DumpError as error:
            damage = error
    typer.echo(f"{taken:,} of {loaded.count:,} documents would be loaded")
    return loaded, damage


def _load(portion: Portion, restart: bool) -> tuple[Loaded, DumpError | None]:
    settings, stopped = configuration.load(), stopped_by_signals()
    with open_listings(settings) as listings, closing(Load(listings, settings, portion, stopped)) as loading:
        loading.begin(restart)
        loaded = loading.loaded
        if loaded.count:
            typer.echo(f"going on at byte {loaded.offset:,}, after {loaded.count:,} documents")
        with bytes_progress() as progress:

            def show(place: int) -> None:
                if not progress.tasks:  # what a load before this one did counts, but not for the rate
                    total = portion.path.stat().st_size
                    progress.add_task(f"loading {portion.path.name}", total=total, completed=place)
                progress.update(progress.tasks[0].id, completed=place)

            try:
                is_whole = loading.run(show)
            except (ShelverError, PyMongoError):
                logger.warning("the same command goes on at byte %d, after %d documents", loaded.offset, loaded.count)
                raise
    told = f"{loaded.inserted:,} inserted, {loaded.already_there:,} were there already"
    if not is_whole:
        typer.echo(f"stopped: {told}; the same command goes on at byte {loaded.offset:,}")
        raise typer.Exit(INTERRUPTED)
    typer.echo(told)
    return loaded, loading.damage


COMMANDS = (load,)

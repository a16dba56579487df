"""load: dumps into the catalog."""

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from producer import load as loading
from producer.listings import open_listings
from worker.contract import settings as configuration

logger = logging.getLogger("producer")


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


COMMANDS = (load,)

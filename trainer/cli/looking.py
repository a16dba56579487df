"""The commands that look at what there is: explore, translate."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.dumps import Categories, Dump, Tolerate
from trainer.cli.progress import counting, measuring
from worker.contract import settings as configuration
from worker.contract.urls import redact


def explore(
    dump: Dump,
    categories: Categories,
    output: Annotated[
        Path, typer.Option("--output", "-o", file_okay=False, help="folder for explore.html and explore.json")
    ],
    sheet: Annotated[
        list[int] | None,
        typer.Option(help="category id (any level) that gets a contact sheet; repeatable (default: a handful)"),
    ] = None,
    names: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="CSV with English names, which `translate` made")
    ] = None,
    tolerate: Tolerate = False,
) -> None:
    """Write a report on a dump: what is in its categories, how unevenly, duplicate pictures, conflicting labels.

    One HTML page with plots and pictures in it, to be read without a network, and its numbers as JSON. Files of an
    earlier report are replaced. Pictures are read for contact sheets and examples alone.
    """
    from trainer.explore.explore import REPORT
    from trainer.explore.explore import explore as look
    from trainer.index import build
    from trainer.translation.english_names import EnglishNames
    from worker.contract.taxonomy import Taxonomy

    taxonomy = Taxonomy.from_csv(categories)
    if names:
        taxonomy = Taxonomy(tuple(EnglishNames(names, taxonomy).categories()))
    with measuring() as track:
        index = build(dump, track("indexing", dump.stat().st_size))
    with counting() as track:
        found = look(index, taxonomy, output, sheet or (), track)
    for warning in found.warnings(damage=tolerate):
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(output / REPORT)
    for line in found.lines():
        typer.echo(line)
    if index.damage and not tolerate:
        raise index.damage


def translate(
    categories: Categories,
    names: Annotated[
        Path, typer.Option("--names", "-o", dir_okay=False, help="CSV with the English names; made if need be")
    ] = Path("category_names_en.csv"),
    offline: Annotated[bool, typer.Option("--offline", help="ask no service: use what the CSV has")] = False,
    store: Annotated[
        bool, typer.Option("--store", help="write the names into `categories` of the SQL store (SHELVER_DATABASE_URL)")
    ] = False,
) -> None:
    """Translate the categories' French names to English (Google Translate), each once, into a CSV.

    The CSV (category_id,level,name,name_en) is yours to edit: a name_en in it is never asked for again and never
    changed. Interrupted, the same command goes on where it was; a category that is renamed is translated anew.
    """
    from trainer.publishing.registry import keep_categories
    from trainer.translation.translate import Google
    from trainer.translation.translate import translate as bring_up_to_date
    from worker.contract.database import Database
    from worker.contract.taxonomy import Taxonomy

    url = configuration.load().database_url if store else ""
    taxonomy = Taxonomy.from_csv(categories)
    with counting() as track:
        made = bring_up_to_date(taxonomy, names, None if offline else Google(), track)
    for line in made.lines():
        typer.echo(line)
    if store:
        with closing(Database(url)) as database, database.begin() as connection:
            keep_categories(connection, made.categories())
        typer.echo(f"stored in {redact(url)}")


COMMANDS = (explore, translate)

"""predictions: what is stored, chosen by filters, shown or written; and the commands that sum it up."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from worker.cli import analyses
from worker.cli.output import opened
from worker.cli.reading import MOST_ROWS, Category, Counted, Level, Since, Until, find_category, nothing, reading, tell
from worker.cli.showing import print_predictions
from worker.contract.errors import ShelverError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from worker.questions.selection import Selection

app = typer.Typer(name="predictions", invoke_without_command=True)

#: of a table, unless --limit says otherwise
ROWS_SHOWN = 50
#: beyond which predictions are not counted
MOST_COUNTED = 1_000_000
Format = Literal["table", "csv", "parquet", "jsonl", "kaggle"]


@app.callback()
def predictions(
    context: typer.Context,
    category: Category = None,
    level: Level = None,
    min_score: Annotated[float | None, typer.Option(min=0, max=1, help="with this score or a higher one")] = None,
    max_score: Annotated[float | None, typer.Option(min=0, max=1, help="with this score or a lower one")] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="[NAME:]VERSION", help="of this model; the latest of each product when left out"),
    ] = None,
    since: Since = None,
    until: Until = None,
    assignment: Annotated[
        Literal["verdict", "level3", "level2", "level1", "review"] | None,
        typer.Option(help="assigned by a person's verdict or at a level, or left to review"),
    ] = None,
    disagrees: Annotated[
        bool | None, typer.Option("--disagrees/--agrees", help="put elsewhere than by the seller, or not")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=0, max=MOST_ROWS, help=f"so many at most; when left out {ROWS_SHOWN} in a table, else all"),
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="when left out by the ending of -o, without -o a table")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="file to write, compressed when its name ends in .gz")
    ] = None,
) -> None:
    """Show stored predictions, or write any number of them. Filters add up.

    A table has the highest scores first. csv, jsonl and parquet have every column of the view latest_predictions, in
    order of product id; csv is exact, for machines: a spreadsheet may take a name in it for a formula. kaggle is
    _id,category_id, of a model of level 3. A file is written whole or not at all.

    $ shelver-worker predictions --category telephonie --min-score 0.9

    $ shelver-worker predictions --since 7d --disagrees -o week.csv.gz

    $ shelver-worker predictions --model 3 --format kaggle -o submission.csv
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    chosen = form or _by_name(output)
    if assignment is not None and model is not None:
        raise typer.BadParameter("assignments are of the latest prediction: leave --assignment or --model out")
    if chosen == "table" and output is not None:
        raise typer.BadParameter("a table is for people: name another --format for a file")
    if chosen == "parquet" and output is None and sys.stdout.isatty():
        raise typer.BadParameter("Parquet is no text: name a file with -o")
    with reading() as (settings, connection):
        from worker.questions.models import version
        from worker.questions.selection import Selection

        where, at = find_category(connection, category, level)
        model_id = version(connection, model, settings.model_name).id if model is not None else None
        selection = Selection(where, at, min_score, max_score, model_id, since, until, assignment, disagrees)
        if chosen == "table":
            _show(connection, selection, ROWS_SHOWN if limit is None else limit)
        else:
            _write(connection, selection, chosen, output, limit)


def _refuse_options(context: typer.Context) -> None:
    """Say that an option before a command would do nothing."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise typer.BadParameter(f"options of {context.invoked_subcommand} are written behind it")


def _by_name(output: Path | None) -> Format:
    if output is None:
        return "table"
    for form in ("csv", "parquet", "jsonl"):
        if output.name.removesuffix(".gz").endswith(f".{form}"):
            return form
    raise typer.BadParameter(f"the name of {output} tells no format: name one with --format")


def _show(connection: "Connection", selection: "Selection", limit: int) -> None:
    from worker.questions.selection import count, page

    rows = page(connection, selection, limit)
    if not rows:
        nothing(connection)
        return
    print_predictions(rows, selection.level)
    total = count(connection, selection, max(MOST_COUNTED, len(rows) + 1))
    more = "; --limit shows more, and -o FILE.csv writes all" if len(rows) < total else ""
    counted = f"{total:,}" if total < MOST_COUNTED else f"{MOST_COUNTED:,} or more"
    typer.echo(f"{len(rows):,} of {counted} predictions, the highest scores first{more}")


def _write(
    connection: "Connection", selection: "Selection", form: Format, output: Path | None, limit: int | None
) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from worker.cli.formats import WRITERS
    from worker.contract.views import latest_predictions
    from worker.questions.selection import stream

    names = tuple(latest_predictions.c.keys())
    if form == "kaggle":
        _check_level(connection, selection)
        names = ("product_id", "category_id")
    is_shown = output is not None and sys.stderr.isatty()
    with opened(output) as file, Progress(console=Console(stderr=True), disable=not is_shown, transient=True) as bar:
        task = bar.add_task("writing", total=_total(connection, selection, limit) if is_shown else None)
        rows = Counted(stream(connection, selection, names, limit))
        WRITERS[form](latest_predictions, names, bar.track(rows, task_id=task), file)
    if not rows.count:
        nothing(connection)
    elif output is not None:
        tell(f"{rows.count:,} predictions written to {output}")


def _total(connection: "Connection", selection: "Selection", limit: int | None) -> int | None:
    """Return how many rows there will be, None when to count them takes as long as to write them."""
    from worker.questions.selection import count

    total = count(connection, selection, min(limit or MOST_ROWS, MOST_COUNTED))
    return total if total < MOST_COUNTED else None


def _check_level(connection: "Connection", selection: "Selection") -> None:
    from worker.contract.tables import predictions
    from worker.questions.models import versions
    from worker.questions.selection import query

    for each in versions(connection):
        of_it = query(selection).where(predictions.c.model_id == each.id).limit(1)
        if each.level != 3 and (each.id == selection.model_id or connection.execute(of_it).first()):
            raise ShelverError(
                f"Kaggle's file has categories of level 3, and {each} predicts those of level {each.level}"
            )


for command in analyses.COMMANDS:
    app.command()(command)

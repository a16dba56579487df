"""predictions summary, compare, disagreements, drift: what all of them come to."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import typer

from worker.cli import showing
from worker.cli.output import opened
from worker.cli.reading import MOST_ROWS, Category, Counted, Since, Until, find_category, nothing, reading, tell
from worker.cli.showing import percent, print_table
from worker.cli.spans import to_span, week_before

#: of `summary`, unless --since says otherwise
DAYS = 14
Limit = Annotated[int, typer.Option(min=1, help="categories to show")]


def summary(since: Since = None, until: Until = None) -> None:
    """Show how many products are assigned at which level, how many were predicted by day and how fast, and rejects.

    Products are counted by their latest prediction. Days are those of the last two weeks unless --since says otherwise;
    all rejects that there are count, whenever they were tried.

    $ shelver-worker predictions summary

    $ shelver-worker predictions summary --since 2026-11-01 --until 2026-12-01
    """
    with reading() as (_, connection):
        from worker.questions import summary as questions

        assigned = questions.assigned(connection, since, until)
        days = questions.days(connection, since or _midnight() - timedelta(days=DAYS - 1), until)
        rejects = questions.rejects(connection)
        products = sum(assigned.values())
        if not products:
            nothing(connection)
    counted = ((name, f"{count:,}", percent(count, products)) for name, count in assigned.items())
    print_table(("assignment", "#products", "#share"), counted, f"{products:,} products")
    print_table(showing.DAY, map(showing.day, days))
    told = ((reason, f"{count:,}", showing.moment(last)) for reason, count, last in rejects)
    print_table(("reject", "#products", "last (UTC)"), told)


def compare(
    old: Annotated[str, typer.Argument(metavar="OLD", help="a model, as 3 or NAME:3")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="the other one")],
    level: Annotated[int, typer.Option(min=1, max=3, help="of the categories that products left")] = 3,
    limit: Limit = 20,
) -> None:
    """Show how two models answer the products that both predicted, and which categories products left for which.

    What is right is what a person's verdict says, or else the seller.

    $ shelver-worker predictions compare 3 4 --level 2
    """
    with reading() as (settings, connection):
        from worker.questions import comparison
        from worker.questions.models import version

        models = [version(connection, text, settings.model_name) for text in (old, new)]
        found = comparison.compare(connection, models[0].id, models[1].id)
        rows = comparison.flips(connection, models[0].id, models[1].id, level, limit)
    if not found.both:
        tell(f"no product has predictions of both {models[0]} and {models[1]}: backfill some with the newer one")
        return
    title = f"{found.both:,} products of both, {found.labelled:,} with a known category"
    print_table(("level", "#the same", *(f"#{each} right" for each in models)), showing.levels(found), title)
    columns = (f"category of {models[0]}", "#products", "#left it", "#share", "most of them for", "#products")
    print_table(columns, map(showing.flip, rows))


def disagreements(
    category: Category = None,
    level: Annotated[
        int | None, typer.Option(min=1, max=3, help="of --category where its name is of several levels")
    ] = None,
    min_score: Annotated[float | None, typer.Option(min=0, max=1, help="with this score or a higher one")] = None,
    everything: Annotated[bool, typer.Option("--all", help="those that a person has decided, too")] = False,
    limit: Annotated[
        int | None, typer.Option(min=0, max=MOST_ROWS, help="so many at most; when left out 50 in a table, else all")
    ] = None,
    form: Annotated[Literal["table", "csv", "jsonl"], typer.Option("--format", help="of what is printed")] = "table",
) -> None:
    """Show the products that the model puts elsewhere than their seller, the surest first.

    The model's latest prediction counts, at its own level. What a person has decided is left out without --all; csv and
    jsonl have every column of the view disagreements.

    $ shelver-worker predictions disagreements --category telephonie --min-score 0.9

    $ shelver-worker predictions disagreements --format csv > disagreements.csv
    """
    with reading() as (_, connection):
        from worker.cli.formats import WRITERS
        from worker.contract import views
        from worker.questions.disagreements import ranked

        shown = 50 if limit is None and form == "table" else limit
        where, at = find_category(connection, category, level)
        rows = Counted(ranked(connection, where, at, min_score, not everything, shown))
        if form == "table":
            print_table(showing.DISAGREEMENT, map(showing.disagreement, rows))
        else:
            with opened(None) as file:
                WRITERS[form](views.disagreements, tuple(views.disagreements.c.keys()), rows, file)
        if not rows.count:
            nothing(connection)


def drift(
    before: Annotated[
        str | None, typer.Option(metavar="SINCE..UNTIL", help="dates or ages; when left out the week before the last")
    ] = None,
    after: Annotated[
        str | None, typer.Option(metavar="SINCE..UNTIL", help="the last whole week, Monday to Monday")
    ] = None,
    level: Annotated[int, typer.Option(min=1, max=3, help="of the categories and scores")] = 1,
    model: Annotated[
        str | None, typer.Option(metavar="[NAME:]VERSION", help="of this model; of all that wrote then when left out")
    ] = None,
    limit: Limit = 20,
) -> None:
    """Show how the categories and scores of two spans of time differ, by the population stability index (PSI).

    A PSI below 0.1 is usually read as stable, one above 0.25 as much change; one as low as chance says nothing.
    UNTIL is not part of a span. A prediction counts by when it was written, be it the latest of its product or not.

    $ shelver-worker predictions drift --before 2026-10-01..2026-11-01 --after 2026-11-01..2026-12-01
    """
    now = datetime.now(UTC)
    spans = (to_span(before) if before else week_before(now, 2), to_span(after) if after else week_before(now))
    with reading() as (settings, connection):
        from worker.questions.drift import drift as measure
        from worker.questions.models import version

        model_id = version(connection, model, settings.model_name).id if model else None
        found = measure(connection, *spans, level, model_id)
    if found.psi_categories is None or found.psi_scores is None:
        which = "before" if not found.before else "after"
        tell(f"no predictions were written {showing.told(spans[which == 'after'])}: choose another --{which}")
        return
    showing.print_drift(found, spans, limit)


def _midnight() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


COMMANDS = (summary, compare, disagreements, drift)

"""Rows as tables for people: names in both languages, shares in percent, times in UTC."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from worker.questions.comparison import Comparison
    from worker.questions.drift import Drift, Part, Span

#: in columns, of a table that is not for a terminal: room for names in two languages
WIDE = 160
DISAGREEMENT = ("#product", "#score", "the model's category", "the seller's", "#differs at level", "verdict")
DAY = ("day (UTC)", "model", "queue", "#predictions", "#mean lag", "#longest", "#within 1 s")
PARTS = ("#before", "#share", "#after", "#share", "#part of PSI")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table, if it has rows; columns whose names begin with # are numbers. Names are shown as they are."""
    told = [Column(each.removeprefix("#"), justify="right" if each.startswith("#") else "left") for each in columns]
    table = Table(*told, title=title, title_justify="left")
    for row in rows:
        table.add_row(*map(_shown, row))
    if not table.rows:
        return
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, WIDE)
    console.print(table)


def percent(part: int, whole: int) -> str:
    """Return a part of a whole in percent, a dash where there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def moment(at: datetime) -> str:
    """Return a time to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def print_predictions(rows: Iterable[Any], level: int) -> None:
    """Print rows of latest_predictions with the category and score of a level, and one of another beside it."""
    shown, beside = ("category", "level1") if level == 3 else (f"level{level}", "category")
    columns = ("category", "level 1") if level == 3 else (f"level {level}", "category")
    cells = (
        (
            *(str(row.product_id), f"{row.score if level == 3 else getattr(row, f'{shown}_score'):.4f}"),
            *(_named(row, shown), _named(row, beside), _listed(row)),
            *(f"{row.model}:{row.version}", moment(row.predicted_at)),
        )
        for row in rows
    )
    print_table(("#product", "#score", *columns, "seller's category", "model", "predicted at (UTC)"), cells)


def disagreement(row: Any) -> tuple[str, ...]:
    """Return a row of disagreements as DISAGREEMENT."""
    differs = "-" if row.differs_at is None else str(row.differs_at)
    verdict = row.verdict or ""
    return (str(row.product_id), f"{row.score:.4f}", _named(row, "category"), _listed(row), differs, verdict)


def day(row: Any) -> tuple[str, ...]:
    """Return a row of daily_counts as DAY."""
    lags = (f"{row.mean_lag_seconds:.2f} s", f"{row.longest_lag_seconds:.2f} s")
    counted = (f"{row.predictions:,}", *lags, percent(row.within_second, row.predictions))
    return (f"{row.day}", f"{row.model}:{row.version}", row.queue, *counted)


def flip(row: Any) -> tuple[str, ...]:
    """Return a category that products left: its name, how many it had, how many left, and where most of them went."""
    counted = (f"{row.products:,}", f"{row.flipped:,}", percent(row.flipped, row.products))
    return (_named(row, "category"), *counted, _named(row, "new_category"), f"{row.new_products:,}")


def levels(found: "Comparison") -> Iterator[tuple[str, ...]]:
    """Yield each level with the share that is the same, and the shares that the old and the new model have right."""
    for level, same in found.same.items():
        right = (percent(each[level], found.labelled) for each in (found.old_right, found.new_right))
        yield (str(level), percent(same, found.both), *right)


def print_drift(found: "Drift", spans: tuple["Span", "Span"], limit: int) -> None:
    """Print the two indices, the categories with the largest parts, and the scores."""
    for name, products, span in zip(("before", "after"), (found.before, found.after), spans, strict=True):
        typer.echo(f"{name:>7}: {products:,} predictions, {told(span)}")
    indices = (
        ("categories", found.psi_categories, found.chance_categories),
        ("scores", found.psi_scores, found.chance_scores),
    )
    print_table(
        ("of the", "#PSI", "#by chance"), ((name, f"{psi:.4f}", f"{chance:.4f}") for name, psi, chance in indices)
    )
    categories = ((both_names(each.name, each.name_en), *_part(each.part)) for each in found.categories[:limit])
    print_table(("category", *PARTS), categories)
    print_table(("score", *PARTS), ((f"{each.low:.1f} to {each.high:.1f}", *_part(each.part)) for each in found.scores))


def told(span: "Span") -> str:
    """Return a span of time in words."""
    return f"from {moment(span[0])} to {moment(span[1])} UTC"


def both_names(name: str | None, name_en: str | None) -> str:
    """Return a category's French name with the English one where there is another: TASSE · CUP."""
    return f"{name} · {name_en}" if name_en and name_en != name else name or "-"


def _part(part: "Part") -> tuple[str, ...]:
    shares = (f"{100 * share:.2f} %" for share in (part.before_share, part.after_share))
    return (f"{part.before:,}", next(shares), f"{part.after:,}", next(shares), f"{part.psi:.4f}")


def _named(row: Any, column: str) -> str:
    return both_names(getattr(row, column), getattr(row, f"{column}_en"))


def _listed(row: Any) -> str:
    """Return the seller's category, its id where the tree lacks it."""
    if row.listed_category is None and row.listed_category_id is not None:
        return f"{row.listed_category_id}, not in the tree"
    return _named(row, "listed_category")


def _shown(text: str) -> str:
    """Return the text without what a terminal would obey."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)

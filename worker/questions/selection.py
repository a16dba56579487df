"""Some of the stored predictions: by shelf, score, model, time, assignment; a page, their number, or all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
)

from worker.contract.tables import categories, models, predictions, verdicts
from worker.contract.views import EVERY_PREDICTION
from worker.questions.levels import category_of, p, score_of

ASSIGNMENTS = ("verdict", "level3", "level2", "level1", "review")
#: what sums of a model's scores may be off by
ROUNDING = 1e-5
#: rows that `stream` holds at a time
FETCHED = 2_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Some of the predictions: those to which everything that is set applies."""

    #: of `level`
    category_id: int | None = None
    #: 1 to 3, whose category and score the rest is about; at 3 they are of the model's own level
    level: int = 3
    min_score: float | None = None
    max_score: float | None = None
    #: None: of each product the latest prediction, whichever model made it
    model_id: int | None = None
    #: written then or later
    since: datetime | None = None
    #: written before
    until: datetime | None = None
    #: one of ASSIGNMENTS; with model_id None only, for assignments are of the latest prediction
    assignment: str | None = None
    #: whether the model puts the product elsewhere than its seller; None: either, and those that have no seller's
    disagrees: bool | None = None

    def __post_init__(self) -> None:
        if self.assignment is not None and (self.assignment not in ASSIGNMENTS or self.model_id is not None):
            raise ValueError(f"assignment must be one of {', '.join(ASSIGNMENTS)}, and goes without a model")


def query(selection: Selection) -> Select[Any]:
    """Return the selection with the columns of worker.contract.views.latest_predictions, in no order."""
    return EVERY_PREDICTION.where(*_conditions(selection))


def page(
    connection: Connection, selection: Selection, size: int, after: tuple[float, int] | None = None
) -> Sequence[Row[Any]]:
    """Return the `size` rows of highest score, or those that follow the row whose `place` is `after`.

    Products of one score come in order of id, so that no row is met twice or missed, however deep the page.
    """
    score = score_of(predictions, selection.level)
    order = (score.desc(), p.product_id)
    keys = query(selection).with_only_columns(p.product_id, p.model_id).order_by(*order).limit(size)
    if after is not None:
        keys = keys.where(score <= after[0], or_(score < after[0], p.product_id > after[1]))
    those = keys.subquery()  # names are looked up for them alone
    same = and_(those.c.product_id == p.product_id, those.c.model_id == p.model_id)
    return connection.execute(EVERY_PREDICTION.join(those, same).order_by(*order)).all()


def place(selection: Selection, row: Row[Any]) -> tuple[float, int]:
    """Return where a row stands in its selection: what `page` goes on after."""
    return (getattr(row, score_of(predictions, selection.level).key or ""), row.product_id)


def count(connection: Connection, selection: Selection, most: int | None = 10_000) -> int:
    """Return how many there are, or `most` when there are more, for counting a million takes its time."""
    some = query(selection).with_only_columns(literal(1).label("one")).limit(most).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0


def stream(
    connection: Connection, selection: Selection, names: Sequence[str] = (), limit: int | None = None
) -> Iterator[Row[Any]]:
    """Yield all rows in order of product id, some thousand in memory at a time; of the columns in `names`, or all."""
    rows = query(selection).order_by(p.product_id).limit(limit)
    if names:
        rows = rows.with_only_columns(*(rows.selected_columns[name] for name in names))
    yield from connection.execute(rows, execution_options={"yield_per": FETCHED})


def _conditions(selection: Selection) -> Iterator[ColumnElement[bool]]:
    of_model = selection.model_id is not None
    yield p.model_id == selection.model_id if of_model else p.is_latest
    score, category = score_of(predictions, selection.level), category_of(predictions, selection.level)
    if selection.category_id is not None:
        yield category == selection.category_id
    if selection.min_score is not None:
        yield score >= selection.min_score
    if selection.max_score is not None:
        yield score <= selection.max_score
    if selection.since is not None:
        yield p.predicted_at >= selection.since
    if selection.until is not None:
        yield p.predicted_at < selection.until
    if selection.assignment is not None:
        yield from _assigned(selection.assignment)
    if selection.disagrees is not None:
        yield p.listed_category_id.is_not(None)
        yield _disagrees() if selection.disagrees else _agrees()


def _assigned(assignment: str) -> Iterator[ColumnElement[bool]]:
    """Yield the rule of the view `assignments`, in terms whose frequency a database can guess and an index knows."""
    decided = exists().where(verdicts.c.product_id == p.product_id, verdicts.c.category_id.is_not(None))
    if assignment == "verdict":
        yield decided
        return
    yield ~decided
    for level in (3, 2, 1):
        threshold = getattr(models.c, f"threshold_level{level}")
        if assignment == f"level{level}":
            yield threshold <= score_of(predictions, level)
            return
        yield (threshold <= score_of(predictions, level)).is_not(true())
        # A category has a part of the score of those above it; of models with another threshold, the highest is enough.
        yield p.score < select(func.max(func.coalesce(threshold, 1)) + ROUNDING).scalar_subquery()


def _disagrees() -> ColumnElement[bool]:
    """As the view `disagreements`: at the model's own level, or level 2 for a model that stops there."""
    above = select(categories.c.parent_id).where(categories.c.id == p.listed_category_id).scalar_subquery()
    return and_(p.listed_category_id != p.category_id, or_(models.c.level == 3, p.level2_id.is_distinct_from(above)))


def _agrees() -> ColumnElement[bool]:
    # A CASE, because PostgreSQL takes it for rare that two columns are equal, and would sort all such rows.
    return case((_disagrees(), false()), else_=true())

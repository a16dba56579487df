"""Where the model and the seller disagree, the surest of the model first."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, exists, select

from worker.contract.tables import verdicts
from worker.contract.views import disagreements
from worker.questions.levels import category_of
from worker.questions.selection import FETCHED


def ranked(
    connection: Connection,
    category_id: int | None = None,
    level: int = 3,
    min_score: float | None = None,
    undecided: bool = True,
    limit: int | None = None,
) -> Iterator[Row[Any]]:
    """Yield rows of the view `disagreements` by falling score of the model's own level, ties by id, in flat memory.

    `category_id` is where the model puts them at `level`. Those that a person decided are left out, unless `undecided`
    is False; one that was skipped, or that somebody looks at now, is not decided.
    """
    d = disagreements.c
    query = select(disagreements).order_by(d.score.desc(), d.product_id).limit(limit)
    if category_id is not None:
        query = query.where(category_of(disagreements, level) == category_id)
    if min_score is not None:
        query = query.where(d.score >= min_score)
    if undecided:
        # Not by the view's own column: PostgreSQL would expect a row at most, and sort them all.
        decided = exists().where(verdicts.c.product_id == d.product_id, verdicts.c.category_id.is_not(None))
        query = query.where(~decided)
    yield from connection.execute(query, execution_options={"yield_per": FETCHED})

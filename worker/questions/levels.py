"""The three levels of a prediction, and what is true of its product as far as anybody has said."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Integer, case, cast, func

from worker.contract.tables import categories, predictions, verdicts

p = predictions.c

_node, _above = categories.alias("true_node"), categories.alias("true_above")
#: level -> the true category of that level, of `with_truth`; null where nobody says, or the tree lacks it
TRUTH: dict[int, ColumnElement[Any]] = {
    1: case({1: _node.c.id, 2: _node.c.parent_id, 3: _above.c.parent_id}, value=_node.c.level),
    2: case({2: _node.c.id, 3: _node.c.parent_id}, value=_node.c.level),
    3: case({3: _node.c.id}, value=_node.c.level),
}


def category_of(source: FromClause, level: int) -> ColumnElement[int]:
    """Return the best category of that level, among `predictions` or an alias; at 3, of the model's own level."""
    return source.c["category_id" if level == 3 else f"level{level}_id"]


def score_of(source: FromClause, level: int) -> ColumnElement[float]:
    """Return its score."""
    return source.c["score" if level == 3 else f"level{level}_score"]


def with_truth(source: FromClause, product_id: ColumnElement[int], listed: ColumnElement[Any]) -> FromClause:
    """Return `source` joined with what TRUTH reads: each product's verdict, or else the seller's category `listed`."""
    told = func.coalesce(verdicts.c.category_id, listed)
    return (
        source.outerjoin(verdicts, verdicts.c.product_id == product_id)
        .outerjoin(_node, _node.c.id == told)
        .outerjoin(_above, _above.c.id == _node.c.parent_id)
    )


def bin_of(score: ColumnElement[float], number: int) -> ColumnElement[int]:
    """Return which of `number` bins of equal width a score of 0 to 1 lies in, from 0; the last has 1 as well."""
    return case((score >= 1, number - 1), else_=cast(func.floor(score * number), Integer))

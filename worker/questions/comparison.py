"""Two models on the same pictures of the same products: how often they agree, who is right, and what moved where."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Float, FromClause, Row, and_, case, cast, func, select

from worker.contract.tables import categories, predictions
from worker.contract.taxonomy import LEVELS
from worker.questions.levels import TRUTH, category_of, score_of, with_truth

_old, _new = predictions.alias("old"), predictions.alias("new")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models, product by product. A model of level 2 has no categories of level 3: none is the same, or right."""

    #: products with a prediction of each from the same pictures
    both: int
    #: level -> those of both where the two name the same category
    same: dict[int, int]
    #: those of both whose category of level 3 a verdict says, or else the seller
    labelled: int
    #: level -> those of labelled that the old model has right
    old_right: dict[int, int]
    #: the same of the new one
    new_right: dict[int, int]


def compare(connection: Connection, old_id: int, new_id: int, since: datetime | None = None) -> Comparison:
    """Return how the models with these ids answer the products that both predicted, the new one at `since` or later.

    A product that was listed anew between the two, with other pictures, is none of them.
    """
    labelled = TRUTH[3].is_not(None)
    right = [
        func.count().filter(and_(labelled, category_of(model, level) == TRUTH[level]))
        for model in (_old, _new)
        for level in LEVELS
    ]
    same = [func.count().filter(category_of(_old, level) == category_of(_new, level)) for level in LEVELS]
    source = with_truth(_both(), _new.c.product_id, _new.c.listed_category_id)
    query = select(func.count(), *same, func.count().filter(labelled), *right).select_from(source)
    row = connection.execute(query.where(*_of(old_id, new_id, since))).one()
    levels = [dict(zip(LEVELS, row[start : start + len(LEVELS)], strict=True)) for start in (1, 5, 8)]
    return Comparison(row[0], levels[0], row[4], levels[1], levels[2])


def flips(
    connection: Connection, old_id: int, new_id: int, level: int = 3, limit: int = 50, since: datetime | None = None
) -> Sequence[Row[Any]]:
    """Return the categories of the old model that most products left with the new one, the most first.

    They are the products of `compare`. Rows are (category_id, category, category_en, products, flipped, share,
    new_category_id, new_category, new_category_en, new_products): how many the old model put there, how many and which
    share of them the new one puts elsewhere, and where it puts the most of those, and how many.
    """
    there, now = category_of(_old, level).label("there"), category_of(_new, level).label("now")
    pairs = (
        select(there, now, func.count().label("products"))
        .select_from(_both())
        .where(*_of(old_id, new_id, since))
        .group_by(there, now)
        .subquery()
    )
    moved = case((pairs.c.there != pairs.c.now, pairs.c.products), else_=0)
    of_one: Any = {"partition_by": pairs.c.there}
    ranked = select(
        pairs,
        func.row_number().over(**of_one, order_by=(moved.desc(), pairs.c.now)).label("place"),
        cast(func.sum(pairs.c.products).over(**of_one), BigInteger).label("total"),
        cast(func.sum(moved).over(**of_one), BigInteger).label("flipped"),
    ).subquery()
    r, before, after = ranked.c, categories.alias("before"), categories.alias("after")
    named = before.c.name.label("category"), before.c.name_en.label("category_en")
    numbers = r.total.label("products"), r.flipped, (cast(r.flipped, Float) / r.total).label("share")
    goes = r.now.label("new_category_id"), after.c.name.label("new_category"), after.c.name_en.label("new_category_en")
    query = (
        select(r.there.label("category_id"), *named, *numbers, *goes, r.products.label("new_products"))
        .join(before, before.c.id == r.there)
        .join(after, after.c.id == r.now)
        .where(r.place == 1, r.flipped > 0)
        .order_by(r.flipped.desc(), r.there)
        .limit(limit)
    )
    return connection.execute(query).all()


def _both() -> FromClause:
    same_pictures = _new.c.fingerprint == _old.c.fingerprint
    return _old.join(_new, and_(_new.c.product_id == _old.c.product_id, same_pictures))


def mean_scores(
    connection: Connection, old_id: int, new_id: int, level: int = 3, since: datetime | None = None
) -> tuple[float | None, float | None]:
    """Return the mean score of each model on the products of `compare`; None when there are none."""
    means = (func.avg(score_of(model, level)) for model in (_old, _new))
    row = connection.execute(select(*means).select_from(_both()).where(*_of(old_id, new_id, since))).one()
    return (row[0], row[1])


def _of(old_id: int, new_id: int, since: datetime | None) -> "list[ColumnElement[bool]]":
    named = [_old.c.model_id == old_id, _new.c.model_id == new_id]
    return named if since is None else [*named, _new.c.predicted_at >= since]

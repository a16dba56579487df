"""Whether a score of 0.8 is right 8 times in 10, on products whose category a verdict says, or else the seller."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, Row, cast, func, select

from worker.contract.tables import categories, models, predictions
from worker.questions.levels import TRUTH, bin_of, category_of, p, score_of, with_truth

#: a share of fewer products than this says nothing
FEWEST_PRODUCTS = 20


@dataclass(frozen=True, slots=True)
class Bin:
    """Products whose score is from `low` to below `high`; the last bin has 1 as well."""

    low: float
    high: float
    products: int
    mean_score: float
    #: how many of them are right
    right: int


@dataclass(frozen=True, slots=True)
class Covered:
    """What a threshold does on the products of some bins."""

    threshold: float
    #: share of the products whose score reaches it
    coverage: float
    #: share of those that is right
    precision: float


def bins(
    connection: Connection,
    level: int = 3,
    model_id: int | None = None,
    since: datetime | None = None,
    number: int = 100,
) -> list[Bin]:
    """Return the bins that have products, of `number` of equal width, by rising score.

    They are of one model, or of the latest prediction of each product by a model that knows categories of `level`;
    written at `since` or later.
    """
    score = score_of(predictions, level)
    place = bin_of(score, number).label("place")
    query = select(place, func.count(), func.avg(score), _right(level)).select_from(_labelled())
    query = query.where(*_conditions(level, model_id, since)).group_by(place).order_by(place)
    return [Bin(row[0] / number, (row[0] + 1) / number, *row[1:]) for row in connection.execute(query)]


def coverage(bins: Sequence[Bin], precision: float) -> Covered | None:
    """Return what the lowest threshold does from which on `precision` of the products are right.

    Thresholds are the lower ends of the bins, at least FEWEST_PRODUCTS reach it; None when there is none.
    """
    products = right = 0
    found = None
    total = sum(each.products for each in bins)
    for each in sorted(bins, key=lambda each: -each.low):
        products, right = products + each.products, right + each.right
        if products >= FEWEST_PRODUCTS and right >= precision * products:
            found = Covered(each.low, products / total, right / products)
    return found


def by_category(
    connection: Connection,
    level: int = 3,
    model_id: int | None = None,
    since: datetime | None = None,
    limit: int | None = 200,
) -> Sequence[Row[Any]]:
    """Return (category_id, category, category_en, products, right, share, mean_score), the most products first.

    `products` are those that the model puts there, `right` how many of them belong there; which they are, as in `bins`.
    """
    category, number, right = category_of(predictions, level), func.count().label("products"), _right(level)
    found = (
        select(
            category.label("category_id"),
            *(number, right, (cast(right, Float) / number).label("share")),
            func.avg(score_of(predictions, level)).label("mean_score"),
        )
        .select_from(_labelled())
        .where(*_conditions(level, model_id, since))
        .group_by(category)
        .order_by(number.desc(), category)
        .limit(limit)
        .subquery()
    )
    f = found.c
    query = select(
        f.category_id, categories.c.name.label("category"), categories.c.name_en.label("category_en"), *list(f)[1:]
    )
    named = query.join(categories, categories.c.id == f.category_id).order_by(f.products.desc(), f.category_id)
    return connection.execute(named).all()


def _labelled() -> Any:
    return with_truth(predictions, p.product_id, p.listed_category_id)


def _right(level: int) -> ColumnElement[int]:
    return func.count().filter(category_of(predictions, level) == TRUTH[level]).label("right")


def _conditions(level: int, model_id: int | None, since: datetime | None) -> list[ColumnElement[bool]]:
    conditions = [
        TRUTH[level].is_not(None),
        p.model_id == model_id if model_id is not None else p.is_latest,
        p.model_id.in_(select(models.c.id).where(models.c.level >= level)),
    ]
    return conditions if since is None else [*conditions, p.predicted_at >= since]

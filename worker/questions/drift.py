"""Whether categories and scores have changed, from one span of time or one model to another, by their PSI."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, exists, func, select

from worker.contract.tables import categories, predictions
from worker.questions.levels import bin_of, category_of, p, score_of

#: (since, until): from the first on, before the second
Span = tuple[datetime, datetime]
#: what an empty share counts as, for its logarithm
EMPTY_SHARE = 0.0001
#: of scores, from 0 to 1
SCORE_BINS = 10


@dataclass(frozen=True, slots=True)
class Part:
    """A category or a bin of scores in both spans, and its part of the PSI."""

    #: products
    before: int
    after: int
    #: of all products of the span, 0 to 1
    before_share: float
    after_share: float
    psi: float


@dataclass(frozen=True, slots=True)
class CategoryPart:
    """A category's part."""

    category_id: int
    name: str
    name_en: str | None
    part: Part


@dataclass(frozen=True, slots=True)
class BinPart:
    """The part of scores from `low` to below `high`; the last bin has 1 as well."""

    low: float
    high: float
    part: Part


@dataclass(frozen=True, slots=True)
class Drift:
    """How far two spans, or two models, are apart.

    The population stability index is the sum of (a - b) * ln(a / b) over the shares a after and b before, an empty one
    set to EMPTY_SHARE. It is usually read as: below 0.1 stable, to 0.25 some change, above that much (Siddiqi, Credit
    Risk Scorecards, Wiley 2006). That is for some ten parts and large spans: many parts of few products differ by
    chance, by `chance_…` on average (Yurdakul & Naranjo, Statistical properties of the population stability index,
    Journal of Risk Model Validation 14, 2020), and an index of that size says nothing.
    """

    #: products of either span
    before: int
    after: int
    #: None when a span has no products
    psi_categories: float | None
    psi_scores: float | None
    #: what two spans of the same kind and of these sizes would come to; None of two models
    chance_categories: float | None
    chance_scores: float | None
    #: the largest part first
    categories: list[CategoryPart]
    #: by rising score, those that occur
    scores: list[BinPart]


def drift(connection: Connection, before: Span, after: Span, level: int = 1, model_id: int | None = None) -> Drift:
    """Return how the predictions written in two spans differ, at a level; of one model, or of all that wrote then.

    A product that was predicted again since then, by the same model, counts when it was predicted last.
    """
    of_model = [] if model_id is None else [p.model_id == model_id]
    spans = ([p.predicted_at >= since, p.predicted_at < until, *of_model] for since, until in (before, after))
    return _drift(connection, level, *spans)


def between_models(
    connection: Connection, old_id: int, new_id: int, level: int = 1, since: datetime | None = None
) -> Drift:
    """Return how two models differ, at a level, on the products that both predicted, the new one at `since` or later.

    Chance has no part in it: they are the same products, with the same pictures.
    """
    other = predictions.alias("other")

    def of(model_id: int, other_id: int) -> list[ColumnElement[bool]]:
        both = [other.c.product_id == p.product_id, other.c.fingerprint == p.fingerprint, other.c.model_id == other_id]
        if since is not None:
            both.append((p if model_id == new_id else other.c).predicted_at >= since)
        return [p.model_id == model_id, exists().where(*both)]

    found = _drift(connection, level, of(old_id, new_id), of(new_id, old_id))
    return replace(found, chance_categories=None, chance_scores=None)


def _drift(
    connection: Connection, level: int, before: Iterable[ColumnElement[bool]], after: Iterable[ColumnElement[bool]]
) -> Drift:
    counted = [_counts(connection, level, conditions) for conditions in (before, after)]
    by_category, by_bin = (_parts(*sides) for sides in zip(*counted, strict=True))
    sizes = (sum(counted[0][0].values()), sum(counted[1][0].values()))
    c = categories.c
    named = select(c.id, c.name, c.name_en).where(c.level <= level)
    names = {row.id: (row.name, row.name_en) for row in connection.execute(named)}
    return Drift(
        *sizes,
        *(_psi(by_category, sizes), _psi(by_bin, sizes), _chance(by_category, sizes), _chance(by_bin, sizes)),
        sorted(
            (CategoryPart(key, *names[key], part) for key, part in by_category.items()),
            key=lambda each: (-each.part.psi, each.category_id),
        ),
        [BinPart(key / SCORE_BINS, (key + 1) / SCORE_BINS, part) for key, part in sorted(by_bin.items())],
    )


def _counts(
    connection: Connection, level: int, conditions: Iterable[ColumnElement[bool]]
) -> tuple[Counter[int], Counter[int]]:
    """Return how many predictions there are of each category, and in each bin of scores; both of one moment."""
    category, place = category_of(predictions, level), bin_of(score_of(predictions, level), SCORE_BINS).label("place")
    by_category: Counter[int] = Counter()
    by_bin: Counter[int] = Counter()
    query = select(category, place, func.count()).where(*conditions).group_by(category, place)
    for key, bin_, count in connection.execute(query):
        by_category[key] += count
        by_bin[bin_] += count
    return by_category, by_bin


def _parts(before: Mapping[int, int], after: Mapping[int, int]) -> dict[int, Part]:
    all_before, all_after = sum(before.values()), sum(after.values())
    parts = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key, 0), after.get(key, 0)
        b, a = old / (all_before or 1), new / (all_after or 1)
        psi = ((a or EMPTY_SHARE) - (b or EMPTY_SHARE)) * math.log((a or EMPTY_SHARE) / (b or EMPTY_SHARE))
        parts[key] = Part(old, new, b, a, psi)
    return parts


def _psi(parts: Mapping[int, Part], sizes: tuple[int, int]) -> float | None:
    return math.fsum(part.psi for part in parts.values()) if all(sizes) else None


def _chance(parts: Mapping[int, Part], sizes: tuple[int, int]) -> float | None:
    return (len(parts) - 1) * (1 / sizes[0] + 1 / sizes[1]) if all(sizes) else None

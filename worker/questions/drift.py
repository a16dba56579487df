"""Whether what comes in has changed: the mix of categories and the scores, of two spans of time, by their PSI."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select

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
    """How far two spans are apart.

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
    #: what two spans of the same kind and of these sizes would come to
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
    score = bin_of(score_of(predictions, level), SCORE_BINS)
    mixes = [_counts(connection, category_of(predictions, level), span, model_id) for span in (before, after)]
    scores = [_counts(connection, score, span, model_id) for span in (before, after)]
    by_category, by_bin = _parts(*mixes), _parts(*scores)
    sizes = (sum(mixes[0].values()), sum(mixes[1].values()))
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


def _counts(connection: Connection, key: ColumnElement[int], span: Span, model_id: int | None) -> dict[int, int]:
    query = select(key, func.count()).where(p.predicted_at >= span[0], p.predicted_at < span[1]).group_by(key)
    if model_id is not None:
        query = query.where(p.model_id == model_id)
    return {row[0]: row[1] for row in connection.execute(query)}


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

"""Whether the canary may be promoted: its answers for products that the stable model predicted, too, against limits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from worker.questions.comparison import Comparison, compare, flips, mean_scores
from worker.questions.drift import between_models
from worker.questions.models import Version
from worker.rollout import Answered

#: categories that products left, the most first
FLIPS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What a canary must keep to."""

    min_products: int
    #: of the products, 0 to 1, that it puts elsewhere at the finest level
    max_flips: float
    #: level above that -> share of the products, 0 to 1, that it leaves where they were
    min_agreement: dict[int, float]
    #: of the products whose category is known, 0 to 1: the stable model's right answers less the canary's
    max_right_loss: float
    #: population stability index of the scores
    max_score_psi: float
    #: of the products in its share that were answered since its rollout began, 0 to 1, by itself
    min_answered: float
    #: its seconds for a call over the stable model's
    max_latency_ratio: float


@dataclass(frozen=True, slots=True)
class Measured:
    """How the two differ on the products that both predicted."""

    #: the finest that both know
    level: int
    comparison: Comparison
    #: as `worker.questions.comparison.flips` returns them, of `level`
    flips: Sequence[Row[Any]]
    #: of the scores of `level`; None without products
    score_psi: float | None
    #: of the stable model and the canary
    mean_scores: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that was measured, and its limit."""

    name: str
    value: float
    limit: float
    #: whether the limit is the largest good value, or else the smallest
    is_most: bool = True

    @property
    def passed(self) -> bool:
        """Whether the value is within its limit."""
        return self.value <= self.limit if self.is_most else self.value >= self.limit


@dataclass(frozen=True, slots=True)
class NotJudged:
    """A criterion without a value."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """Each criterion, judged or not."""

    criteria: list[Criterion]
    not_judged: list[NotJudged]

    @property
    def passed(self) -> bool:
        """Whether nothing that was judged failed."""
        return all(each.passed for each in self.criteria)


def measure(connection: Connection, stable: Version, canary: Version, since: datetime | None = None) -> Measured:
    """Compare them on the products that both predicted, the canary at `since` or later."""
    level, ids = min(stable.level, canary.level), (stable.id, canary.id)
    return Measured(
        level,
        compare(connection, *ids, since),
        flips(connection, *ids, level, FLIPS_SHOWN, since),
        between_models(connection, *ids, level, since).psi_scores,
        mean_scores(connection, *ids, level, since),
    )


def judge(
    found: Measured, limits: Limits, answered: Answered | None = None, latency_ratio: float | None = None
) -> Judgement:
    """Judge what is known; the number of products always is, and fails where it is too small.

    Who is right is judged once the category of as many products is known, how many the canary answered when a rollout
    of it is known of (none asked is none answered), and the latency when it was measured.
    """
    share = (_share(answered.answered, answered.products) or 0.0) if answered else None
    told = [
        *_compared(found, limits),
        _criterion("answered", share, limits.min_answered, "no rollout of it is known of", is_most=False),
        _criterion("latency ratio", latency_ratio, limits.max_latency_ratio, "it was not measured"),
    ]
    return Judgement(
        [each for each in told if isinstance(each, Criterion)], [each for each in told if isinstance(each, NotJudged)]
    )


def _compared(found: Measured, limits: Limits) -> Iterator[Criterion | NotJudged]:
    of, level, none = found.comparison, found.level, "there are no products of both"
    yield Criterion("products", of.both, limits.min_products, is_most=False)
    yield _criterion("flips", _share(of.both - of.same[level], of.both), limits.max_flips, none)
    for above, least in limits.min_agreement.items():
        if above < level:
            share = _share(of.same[above], of.both)
            yield _criterion(f"agreement at level {above}", share, least, none, is_most=False)
    few = f"the category of {of.labelled:,} products is known, fewer than {limits.min_products:,}"
    loss = _share(of.old_right[level] - of.new_right[level], of.labelled)
    loss = loss if of.labelled >= limits.min_products else None
    yield _criterion("loss of right answers", loss, limits.max_right_loss, few)
    yield _criterion("score shift (PSI)", found.score_psi, limits.max_score_psi, none)


def _criterion(name: str, value: float | None, limit: float, why: str, is_most: bool = True) -> Criterion | NotJudged:
    return NotJudged(name, why) if value is None else Criterion(name, value, limit, is_most)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None

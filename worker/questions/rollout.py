"""Whether the canary may be promoted: its answers for products that the stable model predicted, too, against limits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from worker.questions.comparison import Comparison, compare, flips, mean_scores
from worker.questions.drift import between_models
from worker.questions.models import Version

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


def judge(found: Measured, limits: Limits, latency_ratio: float | None = None) -> list[Criterion]:
    """Return every criterion that can be judged; the number of products always can, and fails where it is too small.

    Who is right is judged once the category of as many products is known, the latency when it was measured.
    """
    return [*_judged(found, limits), *_latency(limits, latency_ratio)]


def _judged(found: Measured, limits: Limits) -> Iterator[Criterion]:
    of, level = found.comparison, found.level
    yield Criterion("products", of.both, limits.min_products, is_most=False)
    if not of.both or found.score_psi is None:
        return
    yield Criterion("flips", (of.both - of.same[level]) / of.both, limits.max_flips)
    for above, least in limits.min_agreement.items():
        if above < level:
            yield Criterion(f"agreement at level {above}", of.same[above] / of.both, least, is_most=False)
    if of.labelled and of.labelled >= limits.min_products:
        loss = (of.old_right[level] - of.new_right[level]) / of.labelled
        yield Criterion("loss of right answers", loss, limits.max_right_loss)
    yield Criterion("score shift (PSI)", found.score_psi, limits.max_score_psi)


def _latency(limits: Limits, ratio: float | None) -> Iterator[Criterion]:
    if ratio is not None:
        yield Criterion("latency ratio", ratio, limits.max_latency_ratio)

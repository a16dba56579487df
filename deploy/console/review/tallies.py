"""How far reviewing has come: what each reviewer decided, and how often they find the model right. SQL alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, func, select

from worker.contract.tables import verdicts
from worker.contract.verdicts import Decision

v = verdicts.c
#: those that come with a category
DECIDED = (Decision.SELLER, Decision.MODEL, Decision.OTHER)


@dataclass(frozen=True, slots=True)
class Tally:
    """What one reviewer has decided."""

    reviewer: str
    today: int
    seller: int
    model: int
    other: int

    @property
    def decided(self) -> int:
        """All verdicts that come with a category."""
        return self.seller + self.model + self.other


def tallies(connection: Connection, midnight: datetime) -> list[Tally]:
    """Return what each reviewer has decided, whoever did most first; `today` counts from `midnight` on."""
    counts = [func.sum(case((condition, 1), else_=0)) for condition in (v.decided_at >= midnight, *map(_is, DECIDED))]
    query = select(v.reviewer, *counts).where(v.decision.in_(DECIDED)).group_by(v.reviewer)
    return [Tally(*row) for row in connection.execute(query.order_by(func.count().desc(), v.reviewer))]


def agreement(told: Sequence[Tally]) -> float | None:
    """Return the share of the verdicts that find the model right, None before there are any."""
    decided = sum(each.decided for each in told)
    return sum(each.model for each in told) / decided if decided else None


def _is(decision: Decision) -> ColumnElement[bool]:
    return v.decision == decision

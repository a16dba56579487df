"""What waits for a person: two queues over the store, ranked by how sure the model is. SQL alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
)

from worker.contract.tables import predictions, verdicts
from worker.contract.verdicts import Decision
from worker.questions.selection import Selection, query

#: after so long without a verdict, an item that was handed to somebody is free again
HELD = timedelta(minutes=10)

p, v = predictions.c, verdicts.c
#: apart from what the selection asks of the same table
_held = verdicts.alias("held")
#: (score, product id)
Place = tuple[float, int]


class Queue(StrEnum):
    """Why a product waits."""

    #: the model puts it elsewhere than its seller; the surest first
    DISAGREEMENTS = "disagreements"
    #: the score of no level clears its threshold; the least sure first
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queue, or what the model puts on one shelf of it."""

    queue: Queue
    #: category of level 1; None for all
    level1_id: int | None = None

    def rows(self) -> Select[Any]:
        """Select (product_id, model_id, score), claimed or not, in no order."""
        disagrees, assignment = (True, None) if self.queue is Queue.DISAGREEMENTS else (None, "review")
        selection = Selection(self.level1_id, level=1, disagrees=disagrees, assignment=assignment)
        return query(selection).with_only_columns(p.product_id, p.model_id, p.score)

    def free(self, reviewer: str, now: datetime) -> Select[Any]:
        """Select the same of what `reviewer` may get, in no order."""
        # Not an outer join: PostgreSQL would expect a row at most, and sort them all.
        return self.rows().where(
            ~exists().where(_held.c.product_id == p.product_id, not_(may_take(_held, reviewer, now)))
        )

    def ranked(self, rows: Select[Any], start: Place | None) -> Select[Any]:
        """Return the rows from `start` on, best first; both databases read them in the order of an index."""
        is_falling = self.queue is Queue.DISAGREEMENTS
        if start is not None:
            score, product_id = start
            rows = rows.where(p.score <= score if is_falling else p.score >= score)
            rows = rows.where(or_(p.score != score, p.product_id >= product_id))
        return rows.order_by(p.score.desc() if is_falling else p.score, p.product_id)


@dataclass(slots=True)
class Walk:
    """One reviewer's way through a queue: where they are, so that thousands with a verdict are not gone past again."""

    reviewer: str
    waiting: Waiting
    #: what they skipped here: not again, even when somebody else has skipped it since
    skipped: set[int] = field(default_factory=set)
    #: of the best that was free; None: to begin with the best of all
    place: Place | None = None
    began_at: datetime | None = None

    def best(self, connection: Connection, now: datetime, limit: int) -> Sequence[Row[Any]]:
        """Return the best rows that are free for the reviewer, from the place that was reached; none at the end.

        It begins anew at the end, and after the time that frees claims: what came in meanwhile, or is free again, may
        rank higher.
        """
        if self.began_at is None or now - self.began_at > HELD:
            self.place, self.began_at = None, now
        rows = self._from(connection, self.place, now, limit)
        if not rows and self.place is not None:
            self.began_at = now
            rows = self._from(connection, None, now, limit)
        self.place = (rows[0].score, rows[0].product_id) if rows else None
        return rows

    def _from(self, connection: Connection, place: Place | None, now: datetime, limit: int) -> Sequence[Row[Any]]:
        free = self.waiting.free(self.reviewer, now)
        if self.skipped:
            free = free.where(p.product_id.not_in(self.skipped))
        return connection.execute(self.waiting.ranked(free, place).limit(limit)).all()


def may_take(held: FromClause, reviewer: str, now: datetime) -> ColumnElement[bool]:
    """Return whether a row of `verdicts` gives way to a claim: open for too long, or skipped by somebody else."""
    is_late = and_(held.c.decision == Decision.OPEN, held.c.decided_at < now - HELD)
    return or_(is_late, and_(held.c.decision == Decision.SKIPPED, held.c.reviewer != reviewer))


def remaining(connection: Connection, waiting: Waiting, reviewer: str, now: datetime, most: int) -> int:
    """Return how many `reviewer` may still get, or `most` when there are more."""
    free = waiting.free(reviewer, now).with_only_columns(literal(1).label("one")).limit(most).subquery()
    return connection.scalar(select(func.count()).select_from(free)) or 0

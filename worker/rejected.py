"""Rejects as ops handle them: chosen by id, reason or age, looked at, gone through in order of id, dropped."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, false, func, select

from worker.contract.database import Database
from worker.contract.rejects import Reason
from worker.contract.settings import Settings
from worker.contract.tables import rejects

#: in one statement: what memory holds of a store of any size, and few enough parameters for SQLite
ROWS_AT_A_TIME = 500

#: its id is no integer, so that the row has another number: no worker could find it in the catalog
IS_STAND_IN = and_(rejects.c.reason == Reason.BAD_ID, rejects.c.product_id < 0)


@dataclass(frozen=True, slots=True)
class Choice:
    """Some of the rejects: those to which everything that is set applies, or all."""

    #: as the store has them; none given means any
    ids: tuple[int, ...] = ()
    reasons: tuple[Reason, ...] = ()
    #: rejected for the last time before this moment
    before: datetime | None = None
    #: or since this one
    since: datetime | None = None

    @property
    def is_all(self) -> bool:
        """Whether nothing narrows it."""
        return not (self.ids or self.reasons or self.before or self.since)

    def parts(self) -> Iterator["ColumnElement[bool]"]:
        """Yield the conditions, one after the other in order of id, that together make the choice."""
        ids = iter(sorted(set(self.ids)))
        while chunk := list(islice(ids, ROWS_AT_A_TIME)):
            yield and_(rejects.c.product_id.in_(chunk), *self._filters())
        if not self.ids:
            yield and_(*(self._filters() or [~false()]))

    def _filters(self) -> "list[ColumnElement[bool]]":
        filters: list[ColumnElement[bool]] = []
        if self.reasons:
            filters.append(rejects.c.reason.in_(self.reasons))
        if self.before:
            filters.append(rejects.c.last_at < self.before)
        if self.since:
            filters.append(rejects.c.last_at >= self.since)
        return filters


@dataclass(slots=True)
class Replay:
    """The ids of rejects that can be tried again, in order; iterate over it once."""

    rejected: "Rejects"
    choice: Choice
    #: how many were left out so far: stand-ins for ids that are no integer
    left_out: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[int]:
        for row in self.rejected.each(self.choice):
            if row.is_stand_in:
                self.left_out += 1
            else:
                yield row.product_id


def counted(connection: Connection, choice: Choice) -> dict[Reason, int]:
    """Return how many there are of each reason, most frequent first."""
    counts: dict[Reason, int] = {}
    for part in choice.parts():
        query = select(rejects.c.reason, func.count()).where(part).group_by(rejects.c.reason)
        for reason, count in connection.execute(query):
            counts[reason] = counts.get(reason, 0) + count
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


class Rejects:
    """The table of rejects. Every method raises Unavailable when the database does not answer."""

    def __init__(self, settings: Settings):
        self._database = Database(settings.database_url)

    def close(self) -> None:
        """Close the pool."""
        self._database.close()

    def counts(self, choice: Choice) -> dict[Reason, int]:
        """Return how many there are of each reason, most frequent first."""
        with self._database.begin() as connection:
            return counted(connection, choice)

    def newest(self, choice: Choice, limit: int) -> Sequence[Row[Any]]:
        """Return the rows that were rejected last, the newest first."""
        rows: list[Row[Any]] = []
        with self._database.begin() as connection:
            for part in choice.parts():
                ordered = select(rejects).where(part).order_by(rejects.c.last_at.desc(), rejects.c.product_id)
                rows += connection.execute(ordered.limit(limit))
        return sorted(rows, key=lambda row: (-row.last_at.timestamp(), row.product_id))[:limit]

    def each(self, choice: Choice) -> Iterator[Row[Any]]:
        """Yield (product_id, is_stand_in) in order of id, some hundred in a statement.

        No transaction stays open between them, so that whoever takes long over a row holds up nobody.
        """
        for part in choice.parts():
            last: int | None = None
            while rows := self._after(part, last):
                yield from rows
                last = rows[-1].product_id

    def drop(self, choice: Choice) -> int:
        """Delete the rows in one transaction; return how many there were."""
        with self._database.begin() as connection:
            return sum(connection.execute(delete(rejects).where(part)).rowcount for part in choice.parts())

    def _after(self, part: "ColumnElement[bool]", last: int | None) -> Sequence[Row[Any]]:
        query = select(rejects.c.product_id, IS_STAND_IN.label("is_stand_in")).where(part)
        if last is not None:
            query = query.where(rejects.c.product_id > last)
        with self._database.begin() as connection:
            return connection.execute(query.order_by(rejects.c.product_id).limit(ROWS_AT_A_TIME)).all()

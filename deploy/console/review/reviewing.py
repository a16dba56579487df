"""Reviewing as rows of `verdicts`, the one table that the console writes: claims, verdicts, undo. SQL alone.

To claim a product is to write its row with decision `open`, in one statement that does so only where the row is free:
nobody gets what another has, and no lock is held while a person thinks.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from deploy.console.review.queue import Walk, may_take, p, v
from worker.contract.database import Database
from worker.contract.errors import ShelverError
from worker.contract.tables import verdicts
from worker.contract.verdicts import Decision

LONGEST_NAME, LONGEST_NOTE = 200, 1000
#: of the best that are free, in case others claim them first
TRIED = 10
#: of a reviewer's verdicts, when they come back
MOST_RECALLED = 20
INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class NotYours(ShelverError):
    """Somebody else has the product, or it was decided already: nothing was stored."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A product that is before a reviewer."""

    product_id: int
    #: whose prediction is looked at
    model_id: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What a reviewer did with a product."""

    claim: Claim
    decision: Decision
    decided_at: datetime


class Reviewing:
    """The table of verdicts for whoever decides. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: Database):
        self._database = database

    def close(self) -> None:
        """Close the pool."""
        self._database.close()

    def next(self, walk: Walk) -> Claim | None:
        """Claim what the reviewer has open already, else the best that is free; None when nothing waits."""
        if claim := self._resume(walk):
            return claim
        while rows := self._free(walk):
            for row in rows:
                if claim := self._claim(walk.reviewer, row):
                    return claim
        return None

    def decide(
        self, reviewer: str, claim: Claim, decision: Decision, category_id: int | None = None, note: str = ""
    ) -> Done:
        """Store what `reviewer` says of the product before them; seller, model and other come with a category.

        Raises NotYours when they have it no more.
        """
        given = {"decision": decision, "category_id": category_id, "model_id": claim.model_id, "note": note or None}
        decided_at = self._change(reviewer, claim, v.decision == Decision.OPEN, given)
        return Done(replace(claim, note=note), decision, decided_at)

    def undo(self, reviewer: str, done: Done) -> Claim:
        """Put a product before `reviewer` again; raises NotYours when its row was changed since."""
        unchanged = and_(v.decision == done.decision, v.decided_at == done.decided_at)
        self._change(reviewer, done.claim, unchanged, {"decision": Decision.OPEN, "category_id": None})
        return done.claim

    def last(self, reviewer: str, since: datetime) -> list[Done]:
        """Return what `reviewer` did since then, the latest last; of much, the latest."""
        mine = select(verdicts).where(v.reviewer == reviewer, v.decision != Decision.OPEN, v.decided_at >= since)
        with self._database.begin() as connection:
            rows = connection.execute(mine.order_by(v.decided_at.desc()).limit(MOST_RECALLED)).all()
        return [
            Done(Claim(row.product_id, row.model_id, row.note or ""), row.decision, row.decided_at)
            for row in reversed(rows)
        ]

    def _resume(self, walk: Walk) -> Claim | None:
        mine = select(v.product_id, v.note).where(v.reviewer == walk.reviewer, v.decision == Decision.OPEN)
        with self._database.begin() as connection:
            rows = connection.execute(mine.order_by(v.decided_at.desc()).limit(TRIED))
            notes = {row.product_id: row.note or "" for row in rows}
            there = connection.execute(walk.waiting.rows().where(p.product_id.in_(notes))) if notes else ()
            models = {row.product_id: row.model_id for row in there}
        for product_id in notes:
            if product_id in models:
                claim = Claim(product_id, models[product_id], notes[product_id])
                with suppress(NotYours):  # just now somebody else got it, after the ten minutes
                    self._change(walk.reviewer, claim, v.decision == Decision.OPEN, {"model_id": claim.model_id})
                    return claim
        return None

    def _free(self, walk: Walk) -> Sequence[Row[Any]]:
        with self._database.begin() as connection:
            return walk.best(connection, datetime.now(UTC), TRIED)

    def _claim(self, reviewer: str, row: Row[Any]) -> Claim | None:
        now = datetime.now(UTC)
        claim = {"decision": Decision.OPEN, "model_id": row.model_id, "reviewer": reviewer, "decided_at": now}
        with self._database.begin() as connection:
            insert = INSERT[connection.dialect.name](verdicts).values(product_id=row.product_id, **claim)
            taken = insert.on_conflict_do_update(
                index_elements=[v.product_id], set_=claim, where=may_take(verdicts, reviewer, now)
            )
            mine = connection.execute(taken.returning(v.note)).one_or_none()
        # whoever skipped it may have said why
        return Claim(row.product_id, row.model_id, mine.note or "") if mine else None

    def _change(
        self, reviewer: str, claim: Claim, condition: ColumnElement[bool], values: Mapping[str, object]
    ) -> datetime:
        """Write to a row of the reviewer's for which the condition holds, in one statement; raises NotYours."""
        now = datetime.now(UTC)
        change = update(verdicts).where(v.product_id == claim.product_id, v.reviewer == reviewer, condition)
        with self._database.begin() as connection:
            if connection.execute(change.values(decided_at=now, **values)).rowcount == 1:
                return now
            row = connection.execute(select(verdicts).where(v.product_id == claim.product_id)).one_or_none()
        raise NotYours(f"product {claim.product_id} {_whose(row, reviewer)}: nothing was stored")


def clean(text: str, longest: int) -> str:
    """Return what a person typed on one line, without what no database takes, cut to `longest` characters."""
    shown = "".join(each if each.isprintable() else " " for each in unicodedata.normalize("NFC", text))
    return " ".join(shown.split())[:longest].rstrip()


def _whose(row: Row[Any] | None, reviewer: str) -> str:
    if row is None:
        return "is before nobody any more"
    if row.decision == Decision.OPEN:
        return f"is before {row.reviewer} now" if row.reviewer != reviewer else "is open again, in another tab"
    by = f"by {row.reviewer}" if row.reviewer != reviewer else "by you, in another tab"
    return f"was {'skipped' if row.decision == Decision.SKIPPED else 'decided'} {by}"

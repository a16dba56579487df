"""How much there is: products by assignment, predictions by day with their lag, rejects by reason."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from worker.contract import tables
from worker.contract.rejects import Reason
from worker.contract.views import VIEWS, assignments
from worker.questions.levels import p
from worker.questions.selection import ASSIGNMENTS

_daily_counts = next(view for view in VIEWS if view.name == "daily_counts").query


def assigned(connection: Connection, since: datetime | None = None, until: datetime | None = None) -> dict[str, int]:
    """Return how many products have each of ASSIGNMENTS, all five in that order.

    With times, of the products whose latest prediction was written at `since` or later and before `until`.
    """
    a = assignments.c
    query = select(a.assignment, func.count()).group_by(a.assignment)
    if since is not None:
        query = query.where(a.predicted_at >= since)
    if until is not None:
        query = query.where(a.predicted_at < until)
    counts = {row[0]: row[1] for row in connection.execute(query)}
    return {assignment: counts.get(assignment, 0) for assignment in ASSIGNMENTS}


def days(connection: Connection, since: datetime, until: datetime | None = None) -> Sequence[Row[Any]]:
    """Return rows of the view `daily_counts`, by day, of predictions written at `since` or later, before `until`."""
    query = _daily_counts.where(p.predicted_at >= since)  # the view itself would count every day there is first
    if until is not None:
        query = query.where(p.predicted_at < until)
    return connection.execute(query.order_by("day", "model_id", "queue")).all()


def rejects(connection: Connection) -> list[tuple[Reason, int, datetime]]:
    """Return (reason, how many there are, when the last of them was tried last), the most frequent first."""
    r, number = tables.rejects.c, func.count()
    query = select(r.reason, number, func.max(r.last_at)).group_by(r.reason).order_by(number.desc(), r.reason)
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def by_model(connection: Connection) -> dict[int, int]:
    """Return how many predictions each model has made, by the model's id, of those that have any."""
    query = select(p.model_id, func.count()).group_by(p.model_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def span(connection: Connection) -> tuple[datetime, datetime] | None:
    """Return when the first prediction and the last one were written; None before there are any."""
    ends = (select(end(p.predicted_at)).scalar_subquery() for end in (func.min, func.max))  # an index has either
    first, last = connection.execute(select(*ends)).one()
    return None if first is None else (first, last)

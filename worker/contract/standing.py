"""Where a product stands: one word for the catalog system, ops and analysts."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, select

from worker.contract.database import among
from worker.contract.rejects import Reason
from worker.contract.tables import predictions, rejects


class Status(StrEnum):
    """Where a product stands."""

    PREDICTED = "predicted"
    REJECTED = "rejected"
    #: in the catalog, with neither prediction nor reject
    PENDING = "pending"
    #: not in the catalog
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one product."""

    product_id: int
    status: Status
    #: why there is no prediction, of a rejected one
    reason: Reason | None = None
    #: the same in a sentence
    detail: str | None = None


def stored(connection: Connection, ids: Sequence[int]) -> dict[int, Standing]:
    """Return the standing of those of `ids` that have a row: two queries, however many there are.

    A prediction of any model counts, and counts more than a reject, which a later attempt may have left.
    """
    reject = select(rejects.c.product_id, rejects.c.reason, rejects.c.detail)
    standings = {
        row.product_id: Standing(row.product_id, Status.REJECTED, row.reason, row.detail)
        for row in connection.execute(reject.where(among(connection, rejects.c.product_id, ids)))
    }
    predicted = select(predictions.c.product_id).where(among(connection, predictions.c.product_id, ids)).distinct()
    for identity in connection.scalars(predicted):
        standings[identity] = Standing(identity, Status.PREDICTED)
    return standings

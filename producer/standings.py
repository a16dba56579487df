"""Where products stand, asked of the store and, for those that have no row there, of the catalog."""

from collections.abc import Sequence
from typing import Any

from bson.decimal128 import Decimal128
from pymongo.errors import PyMongoError
from sqlalchemy import Connection, select

from producer.connections import Connections
from worker.contract.database import among
from worker.contract.errors import Unavailable
from worker.contract.fields import value_at
from worker.contract.standing import Standing, Status
from worker.contract.tables import predictions, rejects
from worker.contract.unreachable import reason
from worker.contract.urls import redact

#: ids in one query to MongoDB, which takes 16 MB: some 16 bytes each
IDS_AT_A_TIME = 100_000


def standings(connections: Connections, ids: Sequence[int]) -> dict[int, Standing]:
    """Return where each of `ids`, 64-bit integers, stands, in their order.

    Two queries to SQL, and one to MongoDB (for each 100,000) if some have no row. Raises Unavailable.
    """
    if not ids:
        return {}
    with connections.database.begin() as connection:
        found = _stored(connection, ids)
    absent = [each for each in dict.fromkeys(ids) if each not in found]
    listed = _listed(connections, absent)
    for each in absent:
        found[each] = Standing(each, Status.PENDING if each in listed else Status.UNKNOWN)
    return {each: found[each] for each in ids}


def _stored(connection: Connection, ids: Sequence[int]) -> dict[int, Standing]:
    """Return the standing of those that have a row.

    A prediction of any model counts, and counts more than a reject, which a later attempt may have left.
    """
    reject = select(rejects.c.product_id, rejects.c.reason, rejects.c.detail)
    found = {
        row.product_id: Standing(row.product_id, Status.REJECTED, row.reason, row.detail)
        for row in connection.execute(reject.where(among(connection, rejects.c.product_id, ids)))
    }
    predicted = select(predictions.c.product_id).where(among(connection, predictions.c.product_id, ids)).distinct()
    for identity in connection.scalars(predicted):
        found[identity] = Standing(identity, Status.PREDICTED)
    return found


def _listed(connections: Connections, ids: Sequence[int]) -> set[Any]:
    """Return those that are in the catalog, as numbers of whatever type the catalog has them in."""
    path = connections.settings.mongo_id_field
    wanted = {path: 1} if path == "_id" else {path: 1, "_id": 0}  # of an index, nothing of the documents is read
    found = set()
    try:
        for start in range(0, len(ids), IDS_AT_A_TIME):
            some = {path: {"$in": list(ids[start : start + IDS_AT_A_TIME])}}
            for document in connections.listings.find(some, wanted, batch_size=IDS_AT_A_TIME):
                identity = value_at(document, path)
                # MongoDB holds a Decimal128 equal to the integer; Python does so of its own Decimal alone.
                found.add(identity.to_decimal() if isinstance(identity, Decimal128) else identity)
    except PyMongoError as error:
        url = connections.settings.mongo_url
        raise Unavailable(
            f"MongoDB at {redact(url)} does not answer (SHELVER_MONGO_URL): {reason(error, url)}"
        ) from error
    return found

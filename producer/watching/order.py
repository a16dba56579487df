"""Listings in the order in which they were listed: what stands in for a change stream where there is none."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.objectid import ObjectId
from bson.timestamp import Timestamp
from pymongo import ASCENDING, DESCENDING

from producer.listings import Listings, ListingsError, require_index
from worker.contract.fields import value_at
from worker.contract.settings import Settings, variable

#: A listing may be stored a little after one with a higher value: so far back is looked again.
LATE_SECONDS = 10
LATE_IDS = 1000
#: kinds of values that grow, in MongoDB's names; the first that a collection has is the one it goes by
KINDS = (["int", "long", "double"], ["date"], ["objectId"], ["timestamp"])
FETCH = 1000


class Order:
    """The collection by SHELVER_MONGO_ORDER_FIELD. Inside open_listings: errors are MongoDB's own."""

    def __init__(self, listings: Listings, settings: Settings):
        self._listings = listings
        self._field = settings.mongo_order_field
        self._filter = settings.listing_filter

    def newest(self) -> Any:
        """Return the highest value, None when no listing has one; raises ListingsError when there is no index."""
        require_index(self._listings, self._field, "mongo_order_field")
        for types in KINDS:
            wanted = {self._field: {"$type": types, **_not_ahead(types)}}
            newest = self._listings.find_one(wanted, [self._field], sort=[(self._field, DESCENDING)])
            if newest is not None:
                return value_at(newest, self._field)
        return None

    def require_kind(self) -> None:
        """Raise ListingsError when there are listings, and none has a value that can grow."""
        if self.newest() is None and self._listings.find_one({}, ["_id"]) is not None:
            raise ListingsError(
                f"no listing of {self._listings.full_name} has a number or a date in {self._field}: name a field that "
                f"only grows with {variable('mongo_order_field')}"
            )

    def since(self, value: Any) -> Iterator[tuple[Any, Any]]:
        """Yield value and _id of the listings from a little before `value` on, in order; of all when None."""
        require_index(self._listings, self._field, "mongo_order_field")
        bound = {} if value is None else {self._field: {"$gte": a_little_before(value)}}
        found = self._listings.find({"$and": [bound, self._filter]}, [self._field])
        for document in found.sort(self._field, ASCENDING).batch_size(FETCH):
            yield value_at(document, self._field), document["_id"]


def later(one: Any, other: Any) -> Any:
    """Return the higher of two values; `other` does not count if it is of another kind, none that grows, or to come."""
    if not _can_grow(other) or _is_ahead(other):
        return one
    if one is None:
        return other
    are_numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return max(one, other) if are_numbers or type(one) is type(other) else one


def _tomorrow() -> datetime:
    """Return the moment, in UTC and without a zone as MongoDB gives it, up to which a clock may be ahead of ours."""
    return datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)


def _not_ahead(types: list[str]) -> dict[str, Any]:
    """Return the condition that keeps a listing of the year 2999 from being the newest for good."""
    highest = {"date": _tomorrow(), "objectId": ObjectId.from_datetime(_tomorrow())}
    return {"$lte": highest[types[0]]} if types[0] in highest else {}


def _is_ahead(value: Any) -> bool:
    match value:
        case datetime():
            return value > _tomorrow()
        case DatetimeMS():
            return int(value) > 0
        case ObjectId():
            return value.generation_time.replace(tzinfo=None) > _tomorrow()
        case _:
            return False


def _can_grow(value: Any) -> bool:
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        return False
    return isinstance(value, int | float | datetime | DatetimeMS | ObjectId | Timestamp)


def a_little_before(value: Any) -> Any:
    """Return the value below which nothing that is yet to come can be."""
    late = timedelta(seconds=LATE_SECONDS)
    match value:
        case bool():
            return value
        case int():
            return max(value - LATE_IDS, -(2**63))
        case float():
            return value - LATE_IDS
        case datetime():
            return value - late
        case DatetimeMS():
            return DatetimeMS(int(value) - 1000 * LATE_SECONDS)
        case ObjectId():
            return ObjectId.from_datetime(max(value.generation_time - late, datetime.fromtimestamp(0, UTC)))
        case Timestamp():
            return Timestamp(max(value.time - LATE_SECONDS, 0), 0)
        case _:
            return value

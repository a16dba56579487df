"""Which listings a command is about."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from bson.objectid import ObjectId
from sqlalchemy import select

from producer.listings import Filter, Listings, ListingsError, require_index
from worker.contract.database import Database, among
from worker.contract.settings import Settings, parse_filter, variable
from worker.contract.tables import categories

#: what the seconds of an ObjectId can say: 1970 to 2106
FIRST_SECOND, LAST_SECOND = 0, 2**32 - 1
LEAF_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Selection:
    """All of the conditions hold for each listing; what is None or empty is none."""

    #: ids, both included
    first: int | None = None
    last: int | None = None
    #: see time_range
    since: datetime | None = None
    until: datetime | None = None
    #: MongoDB filter in JSON
    where: str = "{}"
    #: the seller's, of any level
    categories: Sequence[int] = ()
    without_prediction: bool = False
    below_score: float | None = None
    #: that the last two go by; None: the newest
    model_version: int | None = None
    #: version of the model that the latest prediction is by
    predicted_by: int | None = None

    @property
    def goes_by_predictions(self) -> bool:
        """Whether the SQL store is asked about each listing."""
        return self.without_prediction or self.below_score is not None or self.predicted_by is not None

    @property
    def bounds(self) -> Filter:
        """Bounds of the id."""
        return {key: bound for key, bound in (("$gte", self.first), ("$lte", self.last)) if bound is not None}

    def filter(self, listings: Listings, settings: Settings, database: Database) -> Filter:
        """Return the MongoDB filter, without bounds of the id; raises ListingsError for what cannot be."""
        parts = [settings.listing_filter, time_range(listings, settings, self.since, self.until)]
        try:
            parts.append(parse_filter(self.where))
        except ValueError as error:
            raise ListingsError(f"--filter {error}") from error
        if self.categories:
            parts.append({settings.fields.category: {"$in": leaves(database, self.categories)}})
        parts = [part for part in parts if part]
        return {"$and": parts} if parts else {}

    def digest(self, settings: Settings) -> str:
        """Return what no other selection has, nor the same one of listings that other settings are about."""
        about = [settings.mongo_filter, settings.mongo_id_field, settings.mongo_order_field]
        told = json.dumps([asdict(self), about], default=str)
        return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()


def leaves(database: Database, ids: Sequence[int]) -> list[int]:
    """Return the categories of level 3 that are among `ids` or below them.

    Raises ListingsError for an id that the store's tree does not have, Unavailable when the database does not answer.
    """
    found: list[int] = []
    with database.begin() as connection:
        rows = connection.execute(select(categories).where(among(connection, categories.c.id, ids))).all()
        if missing := set(ids) - {row.id for row in rows}:
            raise ListingsError(
                f"category {min(missing)} is not in the store's tree: take one from the table categories, or choose by "
                '--filter, e.g. {"category_id": 5}'
            )
        while rows:
            found += [row.id for row in rows if row.level == LEAF_LEVEL]
            parents = [row.id for row in rows if row.level < LEAF_LEVEL]
            below = select(categories).where(among(connection, categories.c.parent_id, parents))
            rows = connection.execute(below).all() if parents else []
    return sorted(set(found))


def time_range(listings: Listings, settings: Settings, since: datetime | None, until: datetime | None) -> Filter:
    """Return the filter for listings from `since` on, included, to `until`, excluded; None leaves that side open.

    Moments without a zone are UTC. They are compared with the field that SHELVER_MONGO_ORDER_FIELD names: its dates, or
    the seconds in its ObjectIds where it holds those. Raises ListingsError when that field has no index or holds
    neither, and when nothing can be between the two.
    """
    bounds = {name: _in_utc(each) for name, each in (("$gte", since), ("$lt", until)) if each is not None}
    if not bounds:
        return {}
    if len(bounds) == 2 and bounds["$gte"] >= bounds["$lt"]:
        raise ListingsError(f"no listing is both since {bounds['$gte']} and until {bounds['$lt']}: the first is later")
    field = settings.mongo_order_field
    require_index(listings, field, "mongo_order_field")
    if listings.find_one({field: {"$type": "date"}}, ["_id"]):
        return {field: bounds}
    if listings.find_one({field: {"$type": "objectId"}}, ["_id"]):
        return {field: {name: _object_id(each) for name, each in bounds.items()}}
    raise ListingsError(
        f"{listings.full_name} has no date in {field}, and --since and --until go by it: name the indexed field that "
        f"says when a listing came ({variable('mongo_order_field')}), or choose by id"
    )


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:  # the first or last day of all, in a zone that has the day before or after
        return (datetime.min if moment.year == 1 else datetime.max).replace(tzinfo=UTC)


def _object_id(moment: datetime) -> Any:
    """Return the least ObjectId of that second; a moment that none can have is the nearest end."""
    second = min(max(int(moment.timestamp()), FIRST_SECOND), LAST_SECOND)
    return ObjectId(second.to_bytes(4, "big") + bytes(8))

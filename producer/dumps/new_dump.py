"""What was listed since, as a dump in the trainer's format: with the categories that people decided on."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import islice
from typing import Any

import bson
from bson import json_util
from bson.int64 import Int64
from pymongo import ASCENDING
from sqlalchemy import select

from producer.listings import Filter, Listings, count, require_index
from producer.selection import Selection
from worker.contract.database import Database, among
from worker.contract.dump import MAX_DOCUMENT_BYTES
from worker.contract.fields import value_at
from worker.contract.product import DocumentError, Product, to_product_id
from worker.contract.settings import Settings
from worker.contract.tables import categories, verdicts
from worker.contract.urls import redact

#: listings whose verdicts are asked for at a time
BATCH = 1000
#: ids that MongoDB gives at a time
FETCH = 10_000


class LeftOut(StrEnum):
    """Why a listing is not in the dump."""

    BAD_ID = "without an integer id"
    NO_PICTURES = "without pictures"
    NO_CATEGORY = "without category or verdict"
    TOO_LARGE = "too large for one document"


class NewDump:
    """The listings that are asked for, as documents of a dump in ascending order of id.

    Inside open_listings: its errors are MongoDB's own, and Unavailable of the SQL store.
    """

    def __init__(self, listings: Listings, settings: Settings, selection: Selection):
        """Raise ListingsError when ids or times have no index, or there are no times."""
        require_index(listings, settings.mongo_id_field, "mongo_id_field")
        self._listings = listings
        self._fields = settings.fields
        self._place = redact(settings.mongo_url)
        self._database = Database(settings.database_url)
        self._is_by_time = selection.since is not None or selection.until is not None
        within = {self._fields.id: selection.bounds} if selection.bounds else {}
        self._parts = [part for part in (selection.filter(listings, settings, self._database), within) if part]
        #: documents that were given out, and those of them whose category a verdict corrected
        self.products = self.corrected = 0
        #: listings that were not
        self.left_out: Counter[LeftOut] = Counter()

    @property
    def name(self) -> str:
        """A digest that no other selection has."""
        fields = [self._fields.id, self._fields.pictures, self._fields.category]
        told = [self._place, self._listings.full_name, fields, json_util.dumps(self._parts)]
        return hashlib.blake2b(json.dumps(told).encode(), digest_size=6).hexdigest()

    def total(self, after: int | None = None) -> int | None:
        """Return how many listings there are, with those that will be left out; None when that takes too long."""
        return count(self._listings, self._where(after))

    def documents(self, after: int | None = None) -> Iterator[bytes | LeftOut]:
        """Yield for each listing whose id is above `after` its document, encoded, or why there is none."""
        ids = self._ids(after)
        while batch := list(islice(ids, BATCH)):
            numbers = [each for each in batch if isinstance(each, int)]
            yield from map(self._count, [LeftOut.BAD_ID] * (len(batch) - len(numbers)))
            decided = self._decided(numbers)
            for document in self._with_ids(numbers):
                yield self._count(self._document(document, decided))

    def close(self) -> None:
        """Close the connection to the SQL store."""
        self._database.close()

    def _where(self, after: int | None = None) -> Filter:
        # Not $gt, which is for numbers alone: what has no integer id shall be told all the same.
        parts = self._parts + ([] if after is None else [{self._fields.id: {"$not": {"$lte": after}}}])
        return {"$and": parts} if parts else {}

    def _ids(self, after: int | None) -> Iterator[int | str]:
        """Yield the ids in order; where they are found by time, MongoDB sorts them, without the pictures."""
        field, where = self._fields.id, self._where(after)
        shown = {"_id": field == "_id", field: True}
        if self._is_by_time:
            steps: list[dict[str, Any]] = [{"$match": where}, {"$project": shown}, {"$sort": {field: ASCENDING}}]
            found: Any = self._listings.aggregate(steps, allowDiskUse=True, batchSize=FETCH)
        else:
            found = self._listings.find(where, shown, hint=[(field, ASCENDING)], batch_size=FETCH)
            found = found.sort(field, ASCENDING)
        return (to_product_id(value_at(each, field)) for each in found)

    def _with_ids(self, ids: Sequence[int]) -> Iterator[dict[str, Any]]:
        if ids:
            field = self._fields.id
            where = {"$and": [{field: {"$in": list(ids)}}, *self._parts]}
            yield from self._listings.find(where, hint=[(field, ASCENDING)]).sort(field, ASCENDING)

    def _decided(self, ids: Sequence[int]) -> dict[int, int]:
        query = select(verdicts.c.product_id, verdicts.c.category_id).join(categories).where(categories.c.level == 3)
        with self._database.begin() as connection:
            rows = connection.execute(query.where(among(connection, verdicts.c.product_id, ids)))
            return {row.product_id: row.category_id for row in rows}

    def _document(self, document: dict[str, Any], decided: dict[int, int]) -> bytes | LeftOut:
        try:
            product = Product.from_document(document, self._fields)
        except DocumentError:
            return LeftOut.NO_PICTURES
        category = decided.get(product.id, product.category_id)
        if category is None:
            return LeftOut.NO_CATEGORY
        pictures = [{"picture": each} for each in product.pictures if each is not None]
        if not pictures:
            return LeftOut.NO_PICTURES
        encoded = bson.encode({"_id": Int64(product.id), "category_id": Int64(category), "imgs": pictures})
        if len(encoded) > MAX_DOCUMENT_BYTES:
            return LeftOut.TOO_LARGE
        self.corrected += category != product.category_id
        return encoded

    def _count(self, found: bytes | LeftOut) -> bytes | LeftOut:
        if isinstance(found, LeftOut):
            self.left_out[found] += 1
        else:
            self.products += 1
        return found

"""Products by id from MongoDB."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from bson.decimal128 import Decimal128
from pymongo import MongoClient, ReadPreference
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from worker.contract.dump import CODEC
from worker.contract.errors import Unavailable
from worker.contract.fields import value_at
from worker.contract.product import DocumentError, Product, ProductId, stand_in_id
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import Settings
from worker.contract.unreachable import reason
from worker.contract.urls import redact

#: listings that are drawn to find one that can be used; of a collection of twenty times as many MongoDB reads no more
DRAWN = 50


class Catalog:
    """The listings. Build it after fork: the client's threads do not survive one."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._fields = settings.fields
        self._client: MongoClient[dict[str, object]] | None = None

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()

    def load(self, ids: Sequence[ProductId]) -> tuple[list[Product], list[Reject]]:
        """Return the products of a page in its order, in one query, and a reject for every other id.

        Raises Unavailable when MongoDB does not answer.
        """
        wanted = dict.fromkeys(ids)  # each once, in order
        numbers = [identity for identity in wanted if isinstance(identity, int)]
        try:
            found = self._find(numbers, self._fields.category, self._fields.picture_list)
            documents = {self._id(each): each for each in found}
        except PyMongoError as error:
            raise self._unavailable(error) from error
        products: list[Product] = []
        rejects: list[Reject] = []
        for identity in wanted:
            if isinstance(identity, str):
                detail = f"{self._fields.id} is {identity}, not a 64-bit integer"
                rejects.append(Reject(stand_in_id(identity), Reason.BAD_ID, detail))
            elif identity not in documents:
                rejects.append(
                    Reject(identity, Reason.NOT_FOUND, f"no document with this {self._fields.id} in the catalog")
                )
            else:
                try:
                    products.append(Product.from_document(documents[identity], self._fields))
                except DocumentError as error:
                    rejects.append(Reject(identity, error.reason, error.detail))
        return products, rejects

    def listed(self, ids: Sequence[int]) -> set[int]:
        """Return those of `ids` that are in the catalog; raises Unavailable when MongoDB does not answer."""
        try:
            return {self._id(each) for each in self._find(ids)}
        except PyMongoError as error:
            raise self._unavailable(error) from error

    def draw(self) -> Product | None:
        """Return a product at random, passing over listings that SHELVER_MONGO_FILTER leaves out or that are none.

        None when there is none, or all of DRAWN were passed over. Raises Unavailable when MongoDB does not answer.
        """
        fields = dict.fromkeys([self._fields.id, self._fields.category, self._fields.picture_list], 1)
        # The sample comes first: only then does MongoDB pick at random, instead of reading all that pass the filter.
        stages = [{"$sample": {"size": DRAWN}}, {"$match": self._settings.listing_filter}, {"$project": fields}]
        try:
            with self._products().aggregate(stages, batchSize=1) as drawn:
                for document in drawn:
                    with suppress(DocumentError):
                        return Product.from_document(document, self._fields)
        except PyMongoError as error:
            raise self._unavailable(error) from error
        return None

    def _find(self, ids: Sequence[int], *fields: str) -> list[dict[str, object]]:
        wanted = {self._fields.id: {"$in": list(ids)}}
        return list(self._products().find(wanted, [self._fields.id, *fields])) if ids else []

    def _id(self, document: Mapping[str, object]) -> Any:
        """Return the id so that Python too finds it equal to the integer it was asked for by: a Decimal128 is not."""
        identity = value_at(document, self._fields.id)
        return identity.to_decimal() if isinstance(identity, Decimal128) else identity

    def _products(self) -> Collection[dict[str, object]]:
        """Return the collection; mongodb+srv:// is looked up here, the first time, and may raise PyMongoError."""
        if self._client is None:
            timeout = int(self._settings.connect_timeout_seconds * 1000)
            self._client = MongoClient(
                self._settings.mongo_url,
                serverSelectionTimeoutMS=timeout,
                connectTimeoutMS=timeout,
                socketTimeoutMS=6 * timeout,  # longer than the first answer: a page is several megabytes
                appname="shelver-worker",
            )
        database = self._client.get_database(self._settings.mongo_database, codec_options=CODEC)
        # A secondary may lag: what is new would not be found, and pictures that were changed would be the old ones.
        return database.get_collection(self._settings.mongo_collection, read_preference=ReadPreference.PRIMARY)

    def _unavailable(self, error: PyMongoError) -> Unavailable:
        place = redact(self._settings.mongo_url)
        return Unavailable(
            f"MongoDB at {place} does not answer (SHELVER_MONGO_URL): {reason(error, self._settings.mongo_url)}"
        )

"""The catalog's collection of listings, as the producer reads and fills it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import bson
from bson import json_util
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import ExecutionTimeout, OperationFailure, PyMongoError

from worker.contract.dump import CODEC
from worker.contract.errors import ShelverError, Unavailable
from worker.contract.fields import value_at
from worker.contract.product import ProductId, to_product_id
from worker.contract.settings import Settings, variable
from worker.contract.unreachable import reason
from worker.contract.urls import redact

Listings = Collection[dict[str, Any]]
Filter = dict[str, Any]

#: of what a filter or an option says wrongly; anything else may pass by itself
BAD_VALUE = (2, 9, 14, 17, 31, 40, 51, 52, 72, 168)

#: longer than this, nobody waits for a number that only makes the progress bar complete
COUNT_SECONDS = 10
TIME_IS_UP = 50


class ListingsError(ShelverError):
    """The collection is not as a command needs it, or MongoDB refuses what it was asked: waiting does not help."""


@contextmanager
def open_listings(settings: Settings) -> Iterator[Listings]:
    """Give the collection; inside, MongoDB's errors become Unavailable or ListingsError, with the server's name."""
    timeout = int(settings.connect_timeout_seconds * 1000)
    try:
        with MongoClient[dict[str, Any]](
            settings.mongo_url, serverSelectionTimeoutMS=timeout, connectTimeoutMS=timeout, appname="shelver-producer"
        ) as client:
            database = client.get_database(settings.mongo_database, codec_options=CODEC)
            yield database.get_collection(settings.mongo_collection)
    except PyMongoError as error:
        place = redact(settings.mongo_url)
        cause = reason(error, settings.mongo_url)
        if isinstance(error, OperationFailure) and error.code in BAD_VALUE:
            raise ListingsError(f"MongoDB at {place} refuses the query: {cause}; mend the filter") from error
        raise Unavailable(f"MongoDB at {place} does not answer (SHELVER_MONGO_URL): {cause}") from error


def check_filter(listings: Listings, where: Filter) -> None:
    """Have MongoDB plan a query and not run it: what is wrong with the filter shows now, as MongoDB's error."""
    listings.database.command(
        {"explain": {"find": listings.name, "filter": where, "limit": 1}, "verbosity": "queryPlanner"}
    )


def require_index(listings: Listings, path: str, field: str) -> None:
    """Raise ListingsError unless `path`, which the setting `field` names, is indexed: no query may sort in memory."""
    whole = [each for each in listings.index_information().values() if "partialFilterExpression" not in each]
    if path == "_id" or any(each["key"] == [(path, 1)] for each in whole):
        return
    raise ListingsError(
        f"{listings.full_name} has no index by {path} ({variable(field)}): create one, in mongosh "
        f'db.getCollection("{listings.name}").createIndex({{"{path}": 1}}), or name another field'
    )


def has_arrays(listings: Listings, path: str) -> bool:
    """Say whether the index by `path` has several entries for one listing, as when an array is there."""
    find = {"find": listings.name, "filter": {path: {"$gt": 0}}, "hint": {path: 1}}
    return path != "_id" and '"isMultiKey": true' in json_util.dumps(
        listings.database.command({"explain": find, "verbosity": "queryPlanner"})
    )


def ids_by_key(listings: Listings, settings: Settings, keys: Sequence[Any]) -> list[ProductId]:
    """Return the product ids of the documents with these _id that pass the filter, in that order, each once.

    One whose id is not there yet is left out: it is seen when it gets one. One query, and none where the _id is the
    product id and there is no filter.
    """
    path, where = settings.mongo_id_field, settings.listing_filter
    if path == "_id" and not where:
        return list(dict.fromkeys(map(to_product_id, keys)))
    chosen = {"$and": [{"_id": {"$in": list(keys)}}, where]}
    found = {key_of(each["_id"]): value_at(each, path) for each in listings.find(chosen, [path])}
    ids = [found.get(key) for key in map(key_of, keys)]
    return list(dict.fromkeys(to_product_id(each) for each in ids if each is not None))


def key_of(value: Any) -> bytes:
    """Return what tells a value from every other: its text may be cut, and Python holds 1 and True to be equal."""
    return bson.encode({"": value})


def count(listings: Listings, where: Filter) -> int | None:
    """Return how many listings match; None when that takes too long to find out."""
    if not where:
        return listings.estimated_document_count()
    try:
        return listings.count_documents(where, maxTimeMS=1000 * COUNT_SECONDS)
    except (ExecutionTimeout, OperationFailure) as error:
        if error.code not in (TIME_IS_UP, *BAD_VALUE):  # $where may be in a query, and not in a count
            raise
        return None

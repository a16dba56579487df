"""Enqueue what is in the catalog already, in order of id."""

from collections.abc import Iterator
from typing import Any

from pymongo import ASCENDING

from producer.listings import Listings
from worker.contract.product import ProductId, to_product_id

#: ids a cursor fetches at a time: a few hundred kilobytes
FETCH = 10_000


def id_range(first: int | None, last: int | None) -> dict[str, Any]:
    """Return the filter for ids from `first` to `last`, both included; None leaves that side open."""
    bounds = {operator: bound for operator, bound in (("$gte", first), ("$lte", last)) if bound is not None}
    return {"_id": bounds} if bounds else {}


def count(listings: Listings, where: dict[str, Any]) -> int:
    """Return how many listings match; for the whole collection by its metadata, at once."""
    return listings.count_documents(where) if where else listings.estimated_document_count()


def ids(listings: Listings, where: dict[str, Any]) -> Iterator[ProductId]:
    """Yield the ids in order, straight from the _id index; no picture is read."""
    cursor = listings.find(where, {"_id": 1}).sort("_id", ASCENDING).batch_size(FETCH)
    for document in cursor:
        yield to_product_id(document["_id"])

"""Restore a BSON dump into the catalog's collection."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from producer.listings import Listings
from worker.contract import dump
from worker.contract.errors import ShelverError

BATCH_BYTES = 8 * 2**20
BATCH_DOCUMENTS = 1000
DUPLICATE_KEY = 11000


class LoadError(ShelverError):
    """MongoDB refused documents of the dump."""


@dataclass(slots=True)
class Loaded:
    """What became of the documents."""

    inserted: int = 0
    already_there: int = 0
    #: without _id: MongoDB would give them a new one at every repeat
    without_id: int = 0
    #: where the dump ended before its time
    damage: dump.DumpError | None = None
    #: documents that MongoDB refused, and what it said of the first
    refused: int = 0
    refusal: LoadError | None = None


def load(listings: Listings, path: Path, advance: Callable[[int], None]) -> Loaded:
    """Insert every document of the dump as the bytes it is; those whose _id is there already are left alone.

    `advance` is told the bytes of the dump that are done. What stands before damage is inserted, and what stands
    beside documents that MongoDB refuses; both are told in the answer.
    """
    raw_listings = listings.with_options(CodecOptions(document_class=RawBSONDocument))
    loaded = Loaded()
    for batch in _batches(dump.read(path), loaded):
        _insert(raw_listings, batch, loaded)
        advance(sum(len(each.raw) for each in batch))
    return loaded


def _batches(records: Iterator[dump.Record], loaded: Loaded) -> Iterator[list[dump.Record]]:
    """Yield batches within both limits."""
    batch: list[dump.Record] = []
    size = 0
    try:
        for record in records:
            if "_id" not in record.document:
                loaded.without_id += 1
                continue
            batch.append(record)
            size += len(record.raw)
            if size >= BATCH_BYTES or len(batch) >= BATCH_DOCUMENTS:
                yield batch
                batch, size = [], 0
    except dump.DumpError as error:
        loaded.damage = error
    if batch:
        yield batch


def _insert(listings: Collection[RawBSONDocument], batch: list[dump.Record], loaded: Loaded) -> None:
    try:
        listings.insert_many([RawBSONDocument(record.raw) for record in batch], ordered=False)
        loaded.inserted += len(batch)
    except BulkWriteError as error:
        problems = error.details["writeErrors"]
        refused = [each for each in problems if each["code"] != DUPLICATE_KEY]
        loaded.refused += len(refused)
        loaded.inserted += error.details["nInserted"]
        loaded.already_there += len(problems) - len(refused)
        if refused and loaded.refusal is None:
            record = batch[refused[0]["index"]]
            loaded.refusal = LoadError(
                f"MongoDB refuses the document at byte {record.offset:,} of the dump: {refused[0]['errmsg'][:300]}; "
                "mend or remove it and load again, or accept the loss with --tolerate"
            )

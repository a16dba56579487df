"""Put documents into MongoDB as the bytes they are, each on its own: one that is refused takes no other with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, OperationFailure

from producer.listings import Listings
from worker.contract.errors import Unavailable

#: where it is in its dump, and its bytes
Document = tuple[int, bytes]

DUPLICATE_KEY = 11000
#: with which MongoDB refuses a whole message for one document that is BSON, but not to its rules, as 200 levels deep
BAD_DOCUMENT = (15, 22)


@dataclass(slots=True)
class Inserted:
    """What became of some documents."""

    inserted: int = 0
    #: those whose _id was there before; they are left alone
    already_there: int = 0
    #: offsets of those that MongoDB does not take, and why
    refused: list[tuple[int, str]] = field(default_factory=list)

    def __iadd__(self, other: "Inserted") -> "Inserted":
        self.inserted += other.inserted
        self.already_there += other.already_there
        self.refused += other.refused
        return self


def raw(listings: Listings) -> Collection[RawBSONDocument]:
    """Return the collection for documents that stay encoded."""
    return listings.with_options(CodecOptions(document_class=RawBSONDocument))


def insert(listings: Collection[RawBSONDocument], documents: Sequence[Document]) -> Inserted:
    """Insert what fits into one message; raises MongoDB's errors, and Unavailable when it does not keep what it took.

    Unless SHELVER_MONGO_URL says otherwise, it is in when the majority of a replica set has it: no failover loses it.
    """
    if not documents:
        return Inserted()
    try:
        listings.insert_many([RawBSONDocument(data) for _, data in documents], ordered=False)
    except BulkWriteError as error:
        return _sort(error, documents)
    except OperationFailure as error:
        if error.code not in BAD_DOCUMENT:
            raise
        if len(documents) == 1:
            return Inserted(refused=[(documents[0][0], str(error)[:300])])
        half = len(documents) // 2
        inserted = insert(listings, documents[:half])
        inserted += insert(listings, documents[half:])
        return inserted
    return Inserted(len(documents))


def _sort(error: BulkWriteError, documents: Sequence[Document]) -> Inserted:
    """Return what became of each document of a message that was not taken whole."""
    told = error.details or {}
    if unkept := told["writeConcernErrors"]:
        raise Unavailable(f"MongoDB does not keep what it is given (SHELVER_MONGO_URL): {unkept[0]['errmsg'][:300]}")
    problems = told["writeErrors"]
    refused = [(documents[each["index"]][0], each["errmsg"][:300]) for each in problems if not _is_there(each)]
    return Inserted(told["nInserted"], len(problems) - len(refused), refused)


def _is_there(problem: Mapping[str, Any]) -> bool:
    """Say whether it is the _id that was there, and not the value of another unique index."""
    return problem["code"] == DUPLICATE_KEY and list(problem.get("keyPattern", ["_id"])) == ["_id"]

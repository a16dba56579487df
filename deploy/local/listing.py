"""List new products as a catalog would, and see what becomes of them."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError
from sqlalchemy import select

from worker.contract import dump
from worker.contract.database import Database
from worker.contract.errors import ShelverError
from worker.contract.product import stand_in_id, to_product_id
from worker.contract.tables import predictions, rejects

logger = logging.getLogger("deploy")

POLL_SECONDS = 0.02
#: without a single new row for so long, something is wrong
STALLED_SECONDS = 120
SINGLE_LISTINGS = 40
SINGLE_SHARE = 0.25
SECONDS_BETWEEN_SINGLES = 0.1
BATCH = 500


class StalledError(ShelverError):
    """Listings stay without a row."""


class ListingError(ShelverError):
    """The listings cannot be listed as they are."""


@dataclass
class Listed:
    """When each product was listed and when its row was seen, in seconds of one clock."""

    pictures: dict[int, int] = field(default_factory=dict)
    listed_at: dict[int, float] = field(default_factory=dict)
    seen_at: dict[int, float] = field(default_factory=dict)
    #: of `seen_at`, those with a reject
    rejected: set[int] = field(default_factory=set)
    #: those listed one at a time, on an idle line: their delay is latency, not queueing
    singles: list[int] = field(default_factory=list)

    @property
    def latencies(self) -> list[float]:
        """Seconds from insert to stored row of the single listings, ascending."""
        return sorted(self.seen_at[each] - self.listed_at[each] for each in self.singles)

    @property
    def pictures_per_second(self) -> float | None:
        """Pictures of the products listed at once over the time until their last row; None without any."""
        bulk = self.listed_at.keys() - set(self.singles)
        if not bulk:
            return None
        seconds = max(self.seen_at[each] for each in bulk) - min(self.listed_at[each] for each in bulk)
        return sum(self.pictures[each] for each in bulk) / seconds


class Catalog:
    """The catalog system's side: it inserts listings, and looks at the store."""

    def __init__(self, environment: dict[str, str]):
        self._client: MongoClient[RawBSONDocument] = MongoClient(
            environment["SHELVER_MONGO_URL"], document_class=RawBSONDocument
        )
        database = self._client.get_database(environment["SHELVER_MONGO_DATABASE"], CodecOptions(RawBSONDocument))
        self._products: Collection[RawBSONDocument] = database.get_collection(environment["SHELVER_MONGO_COLLECTION"])
        self._database = Database(environment["SHELVER_DATABASE_URL"])

    def list_all(self, path: Path, advance: Callable[[int], None]) -> Listed:
        """Insert a few products one at a time, then the rest at once, and wait until every one has a row."""
        listed = Listed()
        records = _sound(path)
        singles = min(SINGLE_LISTINGS, int(len(records) * SINGLE_SHARE))
        for record in records[:singles]:
            listed.singles += self._insert(listed, [record])
            self._see(listed, advance, until=time.monotonic() + SECONDS_BETWEEN_SINGLES)
        self._see(listed, advance)
        for start in range(singles, len(records), BATCH):
            self._insert(listed, records[start : start + BATCH])
        self._see(listed, advance)
        return listed

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._database.close()

    def _insert(self, listed: Listed, records: list[dump.Record]) -> list[int]:
        ids = []
        now = time.monotonic()
        for record in records:
            identity = to_product_id(record.document.get("_id"))
            ids.append(stand_in_id(identity) if isinstance(identity, str) else identity)
            images = record.document.get("imgs")
            listed.pictures[ids[-1]] = len(images) if isinstance(images, list) else 0
            listed.listed_at[ids[-1]] = now
        try:
            self._products.insert_many([RawBSONDocument(record.raw) for record in records], ordered=False)
        except BulkWriteError as error:
            first = records[error.details["writeErrors"][0]["index"]]
            raise ListingError(
                f"MongoDB refuses the listing at byte {first.offset:,}: its _id is in the dump already, is repeated, "
                "or is none that MongoDB takes; leave it out"
            ) from None  # MongoDB's own words would hold the pictures
        return ids

    def _see(self, listed: Listed, advance: Callable[[int], None], until: float | None = None) -> None:
        """Look for new rows until all are there, or until a moment."""
        last_news = time.monotonic()
        while waiting := listed.listed_at.keys() - listed.seen_at.keys():
            if until is not None and time.monotonic() >= until:
                return
            time.sleep(POLL_SECONDS)
            news = list(self._rows(waiting))
            now = time.monotonic()
            for identity, rejected in news:
                listed.seen_at[identity] = now
                if rejected:
                    listed.rejected.add(identity)
            advance(len(news))
            last_news = now if news else last_news
            if now - last_news > STALLED_SECONDS:
                raise StalledError(f"{len(waiting)} listings have no row after {STALLED_SECONDS} s without any news")
        if until is not None:
            time.sleep(max(until - time.monotonic(), 0))

    def _rows(self, waiting: set[int]) -> Iterator[tuple[int, bool]]:
        wanted = list(waiting)[:BATCH]
        with self._database.begin() as connection:
            for table in (predictions, rejects):
                query = select(table.c.product_id).where(table.c.product_id.in_(wanted))
                for identity in connection.scalars(query):
                    yield identity, table is rejects


def _sound(path: Path) -> list[dump.Record]:
    """Return the listings with an _id, those before the damage if the file is damaged."""
    records: list[dump.Record] = []
    try:
        records.extend(record for record in dump.read(path) if "_id" in record.document)
    except dump.DumpError as error:
        logger.warning("%s", error)
    if not records:
        raise ListingError(f"{path} holds no listing")
    return records

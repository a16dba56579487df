"""Somebody who lists products at a steady rate, in a process of its own."""

import os
import time
from dataclasses import dataclass

from bson.int64 import Int64
from pymongo import MongoClient

from worker.contract.settings import Settings

#: CDiscount's have 4.7 KB
PICTURE_BYTES = 5000
#: so often, what is due is inserted
EVERY_SECONDS = 0.005


@dataclass(frozen=True)
class Inserted:
    """What was inserted: ids in order, without gaps."""

    first: int
    #: of each batch: how many, and when MongoDB acknowledged them, in seconds since the epoch
    batches: list[tuple[int, float]]
    seconds: float

    @property
    def count(self) -> int:
        """How many."""
        return sum(count for count, _ in self.batches)

    @property
    def rate(self) -> float:
        """Listings a second that were reached."""
        return self.count / self.seconds

    @property
    def acknowledged_at(self) -> dict[int, float]:
        """When, by id."""
        moments = [moment for count, moment in self.batches for _ in range(count)]
        return dict(enumerate(moments, self.first))


def insert(settings: Settings, first: int, rate: float, seconds: float) -> Inserted:
    """Insert `rate` listings a second, each with one picture of its own, from the id `first` on."""
    noise = os.urandom(1_000_003 + PICTURE_BYTES)
    batches, count = [], 0
    with MongoClient(settings.mongo_url) as client:
        listings = client[settings.mongo_database][settings.mongo_collection]
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            if due := int(elapsed * rate) - count:
                ids = range(first + count, first + count + due)
                listings.insert_many([_listing(each, noise) for each in ids], ordered=False)
                batches.append((due, time.time()))
                count += due
            time.sleep(max(0.0, began + elapsed + EVERY_SECONDS - time.monotonic()))
        return Inserted(first, batches, time.monotonic() - began)


def _listing(identity: int, noise: bytes) -> dict[str, object]:
    """Return a document whose picture does not compress, as JPEG does not."""
    start = identity * 997 % (len(noise) - PICTURE_BYTES)
    return {"_id": Int64(identity), "imgs": [{"picture": noise[start : start + PICTURE_BYTES]}]}

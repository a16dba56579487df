"""Which documents of a dump are loaded, in batches that fit into one message."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.contract import dump
from worker.contract.product import to_product_id

BATCH_BYTES = 8 * 2**20
BATCH_DOCUMENTS = 1000
#: that a sampled batch may pass over: it ends then, however few it has
LOOKED_AT = 100_000


@dataclass(slots=True)
class Batch:
    """Some documents of a dump, one after the other."""

    #: offset and bytes of each that is taken
    documents: list[tuple[int, bytes]] = field(default_factory=list)
    #: bytes of these
    size: int = 0
    #: the offset after the last document, taken or not, and how many there are
    end: int = 0
    count: int = 0
    #: documents without _id: MongoDB would give them a new one at every repeat
    without_id: int = 0

    @property
    def is_full(self) -> bool:
        """Whether it has reached one of the limits."""
        return self.size >= BATCH_BYTES or len(self.documents) >= BATCH_DOCUMENTS or self.count >= LOOKED_AT


@dataclass(frozen=True, slots=True)
class Portion:
    """The documents of a dump that are asked for."""

    path: Path
    #: documents from the start, or all
    limit: int | None = None
    #: the share of these that is taken
    sample: float = 1

    @property
    def name(self) -> str:
        """A digest that no other portion has, nor the same one of a dump that was changed."""
        facts = self.path.stat()
        told = (self.path.name, facts.st_size, facts.st_mtime_ns, self.limit, float(self.sample))
        return hashlib.blake2b(repr(told).encode(errors="backslashreplace"), digest_size=8).hexdigest()

    def batches(
        self, start: int = 0, count: int = 0, look: Callable[[int], object] = lambda place: None
    ) -> Iterator[Batch]:
        """Yield the batches from the document at byte `start` on, before which there are `count`.

        The last comes before what damage raises. `look`, and what is raised, are as of dump.read.
        """
        batch = Batch()
        records = dump.read(self.path, start, count, look)
        try:
            while (self.limit is None or count < self.limit) and (record := next(records, None)):
                count += 1
                self._take(record, batch)
                if batch.is_full:
                    yield batch
                    batch = Batch()
        except dump.DumpError:
            if batch.count:
                yield batch
            raise
        if batch.count:
            yield batch

    def _take(self, record: dump.Record, batch: Batch) -> None:
        batch.count += 1
        batch.end = record.offset + len(record.raw)
        if "_id" not in record.document:
            batch.without_id += 1
        elif self.sample >= 1 or is_sampled(record.document["_id"], self.sample):
            batch.documents.append((record.offset, record.raw))
            batch.size += len(record.raw)


def is_sampled(identity: Any, share: float) -> bool:
    """Say whether a document with this _id is in the sample; what is in a small one is in every larger one."""
    digest = hashlib.blake2b(str(to_product_id(identity)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64

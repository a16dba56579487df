"""Write one shard: the products of one split in one stretch of the dump, each with its pictures and its class."""

import errno
import json
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from xxhash import xxh3_128

from trainer.index import DumpIndexError, Index, read_product
from trainer.pictures import PictureFault, as_served
from trainer.prepare import tfrecord
from worker.contract.errors import ShelverError

DONE = ".done"
WRITE_BYTES = 2**20


class ShardError(ShelverError):
    """A shard cannot be written."""


@dataclass(frozen=True)
class Plan:
    """What goes into a shard, small enough to hand to another process."""

    path: Path
    dump: Path
    #: int32[N], rows of the dump's index in the order of the shard
    rows: np.ndarray
    #: int32[N], the class of each
    labels: np.ndarray
    #: only the first picture of a product
    first_only: bool

    @property
    def done(self) -> Path:
        """What was written, kept beside a shard that is whole."""
        return self.path.with_suffix(DONE)

    def is_done(self) -> bool:
        """Whether the shard is there and whole; after a power cut it may not be."""
        try:
            return self.path.stat().st_size == self.written().bytes
        except (OSError, ValueError, TypeError):
            return False

    def written(self) -> "Written":
        """Return what became of a shard that is written."""
        return Written(**json.loads(self.done.read_text()))


@dataclass
class Written:
    """What became of a shard."""

    products: int = 0
    pictures: int = 0
    #: products by class, for the classes it has
    counts: dict[str, int] = field(default_factory=dict)
    #: [product id, place of the picture, what is wrong with it]
    undecodable: list[tuple[int, int, str]] = field(default_factory=list)
    #: products left without a picture
    without_picture: int = 0
    bytes: int = 0
    #: XXH3-128 of the file: against damage, not against malice
    digest: str = ""

    @property
    def looked_at(self) -> int:
        """Pictures, sound or not."""
        return self.pictures + len(self.undecodable)


def write(plan: Plan) -> int:
    """Write the shard, whole or not at all, unless it is there already; return the pictures that were looked at.

    Raises ShardError when there is no room, DumpIndexError when the dump has changed.
    """
    if plan.is_done():
        return plan.written().looked_at
    partial = plan.path.with_suffix(".part")
    try:
        written = _write(plan, partial)
        partial.replace(plan.path)
        partial.write_text(json.dumps(asdict(written)))
        partial.replace(plan.done)
    except OSError as error:
        room = "free some room and " if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else ""
        raise ShardError(
            f"{plan.path} cannot be written ({error.strerror}): {room}run the same command again, which goes on from "
            "the shards that are whole"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return written.looked_at


def _write(plan: Plan, path: Path) -> Written:
    index = _index(plan.dump)
    products = index.products[plan.rows]
    index.release()
    written, digest = Written(), xxh3_128()
    with plan.dump.open("rb") as dump, path.open("wb", buffering=WRITE_BYTES) as file:
        for row, label in zip(products, plan.labels.tolist(), strict=True):
            data = _record(dump.fileno(), row, label, plan.first_only, written)
            digest.update(data)
            file.write(data)
        written.bytes = file.tell()
    written.digest = digest.hexdigest()
    return written


@cache
def _index(dump: Path) -> Index:
    if (index := Index.open(dump)) is None:
        raise DumpIndexError(f"{dump} has changed since it was indexed: run the same command again")
    return index


def _record(descriptor: int, row: np.void, label: int, first_only: bool, written: Written) -> bytes:
    product = read_product(descriptor, row)
    pictures = [(place, each) for place, each in enumerate(product.pictures) if each is not None]
    sound = []
    for place, picture in pictures[:1] if first_only else pictures:
        try:
            sound.append(as_served(picture))
        except PictureFault as fault:
            written.undecodable.append((product.id, place, str(fault)))
    if not sound:
        written.without_picture += 1
        return b""
    written.products += 1
    written.pictures += len(sound)
    written.counts[str(label)] = written.counts.get(str(label), 0) + 1
    return tfrecord.record(tfrecord.example({"class": label, "pictures": sound, "product": product.id}))

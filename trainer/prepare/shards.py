"""Write one shard: the products of one split in one stretch of the dump, each with its pictures and its class."""

import errno
import hashlib
import io
import json
import os
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from trainer.index import DumpIndexError, Index, read_product
from trainer.prepare import tfrecord
from worker.contract.errors import ShelverError

DONE = ".done"
#: as in the worker: larger pictures are left out, in pixels
MAX_PIXELS = 25_000_000
Image.MAX_IMAGE_PIXELS = None  # ours is checked before decoding; Pillow's only warns at first


class ShardError(ShelverError):
    """A shard cannot be written."""


@dataclass(frozen=True)
class Plan:
    """What goes into a shard, small enough to hand to another process."""

    path: Path
    dump: Path
    #: int64[N], rows of the dump's index in the order of the shard
    rows: np.ndarray
    #: int32[N], the class of each
    labels: np.ndarray
    #: only the first picture of a product
    first_only: bool

    @property
    def done(self) -> Path:
        """What was written, kept beside a shard that is whole."""
        return self.path.with_suffix(DONE)


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
    #: BLAKE2b-128 of the file
    digest: str = ""


def write(plan: Plan) -> Written:
    """Write the shard, whole or not at all, unless it is there already.

    Raises ShardError when there is no room, DumpIndexError when the dump has changed.
    """
    if plan.done.exists():
        return Written(**json.loads(plan.done.read_text()))
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
    return written


def _write(plan: Plan, path: Path) -> Written:
    products = _index(plan.dump).products[plan.rows]
    written, digest = Written(), hashlib.blake2b(digest_size=16)
    with plan.dump.open("rb") as dump, path.open("wb") as file:
        for row, label in zip(products, plan.labels.tolist(), strict=True):
            data = _record(dump.fileno(), row, label, plan.first_only, written)
            digest.update(data)
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
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
        if fault := fault_of(picture):
            written.undecodable.append((product.id, place, fault))
        else:
            sound.append(picture)
    if not sound:
        written.without_picture += 1
        return b""
    written.products += 1
    written.pictures += len(sound)
    written.counts[str(label)] = written.counts.get(str(label), 0) + 1
    return tfrecord.record(tfrecord.example({"class": label, "pictures": sound, "product": product.id}))


def fault_of(picture: bytes) -> str | None:
    """Say why a picture cannot be trained on; None for a JPEG or PNG that decodes."""
    try:
        with Image.open(io.BytesIO(picture), formats=["JPEG", "PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                return f"claims {image.width:,} x {image.height:,} pixels"
            image.load()
    except Exception as error:  # noqa: BLE001 - Pillow's parsers raise whatever a hostile file makes them trip over
        return f"does not decode ({type(error).__name__})"
    return None

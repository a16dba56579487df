"""What is fed: the worker's pictures and both readers of dumps. An outcome is a word; a finding is an exception."""

import io
import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tests.pictures import jpeg
from trainer import index as indexing
from trainer import scan as scanning
from trainer.window import NO_CATEGORY, picture_hash
from worker.contract.dump import DumpError, read
from worker.contract.product import DocumentError, Product
from worker.contract.rejects import Reason
from worker.contract.settings import Settings
from worker.contract.signature import Signature
from worker.pictures import MAGIC, Batch, Stacker

SIDE = 24
SETTINGS = Settings()
BESIDE = Product(2, (jpeg(1, SIDE),))
LONGEST_DETAIL = 3000
#: of cases that also make an index, which forks a process
INDEXED = 0.1


def picture(data: bytes, chance: random.Random) -> str:
    """Stack a picture under both signatures, proven and not; the product beside it must stay in the batch."""
    del chance
    made = {}
    for signature in Signature:
        for prove in (False, True):
            stacker = Stacker(SETTINGS, signature, SIDE)
            batch, rejects = stacker.stack([Product(1, (data,)), BESIDE], prove)
            settled = [each.id for each in batch.products] + [each.product_id for each in rejects]
            assert sorted(settled) == [1, 2], f"settled {settled}"
            assert batch.products[-1] is BESIDE, "the product beside it was rejected"
            _check_rows(batch, signature)
            for reject in rejects:
                _check_detail(reject.detail)
            made[signature, prove] = batch, rejects
    pixels, (proven, rejects) = made[Signature.PIXELS, False], made[Signature.JPEG, True]
    assert [each.reason for each in rejects] == [each.reason for each in pixels[1]], "the signatures disagree"
    for row, sent in zip(pixels[0].pictures, proven.pictures, strict=True):
        shown = np.asarray(Image.open(io.BytesIO(bytes(sent))).convert("RGB"))
        assert np.array_equal(row, shown), "the signatures show other pixels"
    return f"rejected: {rejects[0].reason}" if rejects else "predicted"


def _check_rows(batch: Batch, signature: Signature) -> None:
    assert len(batch.pictures) == len(batch.product) == len(batch.picture) == len(batch.products)
    if signature is Signature.PIXELS:
        assert {(each.shape, str(each.dtype)) for each in batch.pictures} <= {((SIDE, SIDE, 3), "uint8")}
    else:
        assert all(bytes(each).startswith(tuple(MAGIC.values())) for each in batch.pictures)


def _check_detail(detail: str) -> None:
    """A reject's text can be stored, which half a surrogate pair cannot, and be read."""
    assert detail.encode()
    assert len(detail) < LONGEST_DETAIL, f"a detail of {len(detail):,} characters: {detail[:100]!a}"


@dataclass
class Rows:
    """What a dump holds: (id, category, offset, hashes) of each product, and all else that is counted."""

    products: list[tuple[int, int, int, list[int]]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    documents: int = 0
    #: where it ends before its time
    damage: int | None = None


def dump(data: bytes, chance: random.Random) -> str:
    """Read a dump with the worker's reader and the trainer's, which must find the same."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fuzz.bson"
        path.write_bytes(data)
        expected = _read(path)
        scanning.WINDOW_BYTES = chance.choice((64, 500, 2**16, 2**22))
        found = scanning.scan(path, 0, len(data))
        scanned = Rows(
            _rows(found.products, found.hashes),
            found.left_out,
            found.documents,
            found.end if found.damage else None,
        )
        assert scanned == expected, f"scan finds {scanned}, the bson library {expected}"
        indexing.STRETCH_BYTES = chance.choice((100, 1000, 2**26))
        if chance.random() < INDEXED:
            _index(path, expected)
    return "dump whole" if expected.damage is None else "dump damaged"


def _read(path: Path) -> Rows:
    rows = Rows()
    try:
        for record in read(path):
            rows.documents += 1
            try:
                product = Product.from_document(record.document)
            except DocumentError as error:
                _check_detail(error.detail)
                rows.left_out[error.reason] += 1
                continue
            hashes = [picture_hash(each) for each in product.pictures if each is not None]
            if hashes:
                category = NO_CATEGORY if product.category_id is None else product.category_id
                rows.products.append((product.id, category, record.offset, hashes))
            else:
                rows.left_out[Reason.NOT_BYTES] += 1
    except DumpError as error:
        rows.damage = error.offset
        told = error.count
    else:
        told = rows.documents
    assert told == rows.documents, f"{told} documents told before the damage, {rows.documents} given out"
    return rows


def _rows(products: np.ndarray, hashes: np.ndarray) -> list[tuple[int, int, int, list[int]]]:
    return [
        (
            int(row["id"]),
            int(row["category"]),
            int(row["offset"]),
            hashes[row["first"] : row["first"] + row["pictures"]].tolist(),
        )
        for row in products
    ]


def _index(path: Path, expected: Rows) -> None:
    try:
        made = indexing.build(path, processes=2)
    except indexing.DumpIndexError:
        assert not expected.products, "products, and no index"
        return
    damage = made.damage and made.damage.offset
    found = Rows(_rows(made.products, made.pictures), made.left_out, expected.documents, damage)
    assert found == expected, f"the index finds {found}, the bson library {expected}"
    for product, row in zip(made.read(range(len(made.products))), expected.products, strict=True):
        assert [picture_hash(each) for each in product.pictures if each is not None] == row[3]

"""Walk the raw BSON of a dump: where each product lies and what its pictures hash to, without decoding any.

Documents of CDiscount's shape are read field by field where they lie, a window of them at once; any other is given to
the bson library, so that both end as the same row.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import bson
import numpy as np
from bson.errors import InvalidBSON

from trainer.window import NO_CATEGORY, PRODUCT, Window, picture_hash
from worker.contract.dump import CODEC
from worker.contract.product import DocumentError, Product
from worker.contract.rejects import Reason

#: read at a time: small enough to stay in the processor's cache until it is hashed
WINDOW_BYTES = 2**22


@dataclass
class Stretch:
    """What lies between two offsets of a dump."""

    #: offset of its first document; None when no document begins in it
    start: int | None
    #: offset after its last sound document
    end: int = 0
    #: PRODUCT[N]
    products: np.ndarray = field(default_factory=lambda: np.empty(0, PRODUCT))
    #: uint64[P], the pictures of all products in order
    hashes: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    #: documents that are no product, by reason
    left_out: Counter[str] = field(default_factory=Counter)
    #: sound documents, products or not
    documents: int = 0
    #: what is wrong at `end`, where the dump does not go on as BSON
    damage: str | None = None


def scan(path: Path, start: int, stop: int, guess: bool = False) -> Stretch:
    """Read the documents that begin in [start, stop), offsets in bytes; memory is that of the rows found.

    With `guess`, `start` is anywhere and the first document from there on is looked for. What looks like one may lie
    within a picture: whoever knows where the stretch before ended must compare. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _Scanner(descriptor, stop).run(start, guess)
    finally:
        os.close(descriptor)


class _Scanner:
    def __init__(self, descriptor: int, stop: int):
        self._descriptor = descriptor
        self._stop = stop
        self._window = Window(WINDOW_BYTES)
        self._products: list[np.ndarray] = []
        self._hashes: list[np.ndarray] = []
        self._pictures = 0
        self._found = Stretch(None)

    def run(self, start: int, guess: bool) -> Stretch:
        found = self._found
        self._window.read(self._descriptor, start)
        if guess:
            place = self._window.first_document()
            if place is None or start + place >= self._stop:
                return found
            start += place
        found.start = found.end = start
        while found.end < self._stop and not found.damage and self._window.read(self._descriptor, found.end):
            self._take()
        if self._products:
            found.products, found.hashes = np.concatenate(self._products), np.concatenate(self._hashes)
        return found

    def _take(self) -> None:
        """Take the whole documents of the window."""
        window, found = self._window, self._found
        starts, ends, damage = window.documents(self._stop - found.end)
        products, hashes, sound = window.fields(starts, ends)
        strange = np.flatnonzero(~sound)
        if strange.size:
            products, hashes, damage = self._decode(starts, ends, products, hashes, strange, damage)
        kept = products[products["pictures"] > 0]
        kept["offset"] += found.end
        kept["first"] = self._pictures + np.cumsum(kept["pictures"]) - kept["pictures"]
        self._products.append(kept)
        self._hashes.append(hashes)
        self._pictures += len(hashes)
        found.documents += len(products)
        found.end += int(ends[len(products) - 1]) if len(products) else 0
        found.damage = damage

    def _decode(
        self,
        starts: np.ndarray,
        ends: np.ndarray,
        products: np.ndarray,
        hashes: np.ndarray,
        strange: np.ndarray,
        damage: str | None,
    ) -> tuple[np.ndarray, np.ndarray, str | None]:
        """Fill the rows of the documents that have another shape; cut everything at the first that is no BSON."""
        known = np.split(hashes, np.cumsum(products["pictures"])[:-1])
        for row in strange.tolist():
            try:
                document = bson.decode(self._window.buffer[starts[row] : ends[row]], CODEC)
            except InvalidBSON as error:
                products, known, damage = products[:row], known[:row], f"no BSON document ({error})"
                break
            known[row] = self._picture_hashes(document, products[row])
        return products, np.concatenate([np.empty(0, np.uint64), *known]), damage

    def _picture_hashes(self, document: dict, row: np.void) -> np.ndarray:
        try:
            product = Product.from_document(document)
        except DocumentError as error:
            self._found.left_out[error.reason] += 1
            return np.empty(0, np.uint64)
        pictures = [each for each in product.pictures if each is not None]
        if not pictures:
            self._found.left_out[Reason.NOT_BYTES] += 1
        row["id"] = product.id
        row["category"] = NO_CATEGORY if product.category_id is None else product.category_id
        row["pictures"] = len(pictures)
        return np.array([picture_hash(each) for each in pictures], np.uint64)

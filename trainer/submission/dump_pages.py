"""The products of a dump in pages, each product once, with or without pictures, in flat memory."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path

from worker.contract.dump import DumpError, Record, read
from worker.contract.product import DocumentError, Product, to_product_id

#: bytes of documents that are held at a time, whatever they are
PAGE_BYTES = 2**26


class DumpPages:
    """Pages of at most `size` products in the order of the dump; once they are read, also what is not in them."""

    def __init__(self, dump: Path, size: int, advance: Callable[[int], None]):
        """Tell `advance` the bytes as they are read."""
        self._dump = dump
        self._size = size
        self._advance = advance
        #: documents whose _id is no 64-bit integer
        self.without_id = 0
        #: documents with the _id of one before them
        self.repeated = 0
        #: where the dump ended before its time
        self.damage: DumpError | None = None

    def __iter__(self) -> Iterator[list[Product]]:
        """Yield the pages up to the end or the damage; raises OSError."""
        page: list[Product] = []
        held = 0
        for record, product in self._products():
            page.append(product)
            held += len(record.raw)
            if len(page) == self._size or held > PAGE_BYTES:
                yield page
                page, held = [], 0
        if page:
            yield page

    def _products(self) -> Iterator[tuple[Record, Product]]:
        seen = Seen()
        for record in self._records():
            self._advance(len(record.raw))
            product = _product(record)
            if product is None:
                self.without_id += 1
            elif seen.add(product.id):
                yield record, product
            else:
                self.repeated += 1

    def _records(self) -> Iterator[Record]:
        try:
            yield from read(self._dump)
        except DumpError as error:
            self.damage = error


class Seen:
    """The ids that came before: 8 bytes each as long as they rise, as in the real dump."""

    def __init__(self) -> None:
        self._rising = array("q")
        self._others: set[int] = set()

    def add(self, identity: int) -> bool:
        """Take an id; say whether it is new."""
        if not self._rising or identity > self._rising[-1]:
            self._rising.append(identity)
            return True
        if self._rising[bisect_left(self._rising, identity)] == identity or identity in self._others:
            return False
        self._others.add(identity)
        return True


def _product(record: Record) -> Product | None:
    """Return the product of a document, without pictures where it has none; None when it has no id."""
    identity = to_product_id(record.document.get("_id"))
    if isinstance(identity, str):
        return None
    try:
        return Product.from_document(record.document)
    except DocumentError:
        return Product(identity, ())

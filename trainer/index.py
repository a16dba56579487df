"""The offset index of a dump: a folder beside it, memory-mapped, made once and reused while the dump is unchanged.

A dump is a chain: where a document begins, only the one before it tells. So each process guesses the first document of
its stretch, and a stretch counts only if the one before it ended where it begins; otherwise it is read again from
there. The result is that of one sequential reading.
"""

import hashlib
import json
import logging
import mmap
import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import bson
import numpy as np
from bson.errors import InvalidBSON

from trainer.scan import Stretch, scan
from trainer.window import PRODUCT
from worker.contract.dump import CODEC, DumpError
from worker.contract.errors import ShelverError
from worker.contract.product import DocumentError, Product

logger = logging.getLogger("trainer")

#: read by one process at a time
STRETCH_BYTES = 2**26
FORMAT = 1
FACTS, PRODUCTS, PICTURES = "index.json", "products.bin", "pictures.bin"


class DumpIndexError(ShelverError):
    """The index cannot be made or read, or the dump has changed under it."""


@dataclass(frozen=True)
class Index:
    """Where every product of a dump is. `products` and `pictures` are memory-mapped, in order of the dump."""

    dump: Path
    folder: Path
    #: PRODUCT[N]: id, category (NO_CATEGORY without), offset and length in bytes, pictures, first picture
    products: np.ndarray
    #: uint64[P]: the hash of every picture, product by product
    pictures: np.ndarray
    #: documents that are no product, by reason
    left_out: Counter[str]
    #: where the dump ended before its time
    damage: DumpError | None

    def rows(self, identities: Iterable[int]) -> np.ndarray:
        """Return the row of each product id, int64[N], -1 for an id that is not in the dump."""
        wanted = np.fromiter(identities, np.int64)
        ids, order = self._sorted_ids
        if not len(ids):
            return np.full(len(wanted), -1, np.int64)
        place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
        rows = place if order is None else order[place]
        return np.where(self.products["id"][rows] == wanted, rows, -1)

    def hashes(self, row: int) -> np.ndarray:
        """Return the picture hashes of one product, uint64[P]."""
        first, count = self.products["first"][row], self.products["pictures"][row]
        return self.pictures[first : first + count]

    def read(self, rows: Iterable[int]) -> Iterator[Product]:
        """Yield the products of some rows; raises DumpIndexError when the dump is not what was indexed."""
        with self.dump.open("rb") as file:
            for row in rows:
                yield read_product(file.fileno(), self.products[row])

    def release(self) -> None:
        """Give the mapped pages back; what is read again comes from the system's cache."""
        for array in (self.products, self.pictures):
            if isinstance(array, np.memmap):
                array._mmap.madvise(mmap.MADV_DONTNEED)

    @cached_property
    def _sorted_ids(self) -> tuple[np.ndarray, np.ndarray | None]:
        ids = self.products["id"]
        if np.all(ids[1:] >= ids[:-1]):  # as in the real dump: nothing to sort, nothing to hold
            return ids, None
        return ids, np.argsort(ids, kind="stable")

    @classmethod
    def open(cls, dump: Path) -> Self | None:
        """Return the index that lies beside the dump, None when there is none or the dump has changed since."""
        folder = folder_of(dump)
        try:
            facts = json.loads((folder / FACTS).read_text())
            if facts["format"] != FORMAT or facts["dump"] != _identity(dump):
                return None
            damage = facts["damage"] and DumpError(dump, *facts["damage"])
            products = _mapped(folder / PRODUCTS, PRODUCT, facts["products"])
            pictures = _mapped(folder / PICTURES, np.dtype(np.uint64), facts["pictures"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return cls(dump, folder, products, pictures, Counter(facts["left_out"]), damage or None)


def read_product(descriptor: int, row: np.void) -> Product:
    """Read one product of an open dump; raises DumpIndexError when something else is there now."""
    raw = os.pread(descriptor, int(row["length"]), int(row["offset"]))
    try:
        product = Product.from_document(bson.decode(raw, CODEC))
        if product.id == row["id"]:
            return product
    except (InvalidBSON, DocumentError):
        pass
    raise DumpIndexError(f"the dump has changed at byte {row['offset']:,} since it was indexed: try again")


def folder_of(dump: Path) -> Path:
    """Return where the index of a dump is kept: DUMP.index, or in the user's cache when that cannot be written."""
    dump = dump.resolve()
    beside = dump.with_name(f"{dump.name}.index")
    writable = os.access(dump.parent, os.W_OK) and dump.parent.stat().st_mode & 0o222  # root may, and should not
    if beside.exists() or writable:
        return beside
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shelver"
    return cache / f"{dump.name}-{hashlib.sha256(os.fsencode(dump)).hexdigest()[:16]}.index"


def build(
    dump: Path, advance: Callable[[int], None] = lambda _: None, processes: int | None = None, fresh: bool = False
) -> Index:
    """Return the index of `dump`, made if need be; `advance` is told the bytes read.

    A damaged dump is indexed up to the damage, which is in the result. Raises DumpIndexError when there is nothing in
    it, or no room for the index.
    """
    if not fresh and (there := Index.open(dump)):
        advance(dump.stat().st_size)
        return there
    folder = folder_of(dump)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    for left in folder.parent.glob(f".{folder.name}.*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        _write(dump, draft, advance, processes or os.cpu_count() or 1)
        shutil.rmtree(folder, ignore_errors=True)
        draft.replace(folder)
    except OSError as error:
        raise DumpIndexError(f"cannot index {dump} in {folder}: {error}; give it room, 1/100 of the dump") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    made = Index.open(dump)
    if made is None:
        raise DumpIndexError(f"{dump} changed while it was indexed: try again when nothing writes to it")
    return made


def _write(dump: Path, draft: Path, advance: Callable[[int], None], processes: int) -> None:
    identity, total = _identity(dump), Stretch(0)
    count = pictures = 0
    with ExitStack() as stack:
        product_file = stack.enter_context((draft / PRODUCTS).open("wb"))
        picture_file = stack.enter_context((draft / PICTURES).open("wb"))
        for stretch in stack.enter_context(_stretches(dump, processes)):
            stretch.products["first"] += pictures
            stretch.products.tofile(product_file)
            stretch.hashes.tofile(picture_file)
            count += len(stretch.products)
            pictures += len(stretch.hashes)
            total.documents += stretch.documents
            total.left_out += stretch.left_out
            total.damage = stretch.damage
            advance(stretch.end - total.end)
            total.end = stretch.end
    if not count:
        raise DumpIndexError(f"{dump} holds no product{f' ({total.damage})' if total.damage else ''}: is it a dump?")
    facts: dict[str, Any] = {
        "format": FORMAT,
        "dump": identity,
        "products": count,
        "pictures": pictures,
        "left_out": dict(sorted(total.left_out.items())),
        "damage": total.damage and [total.end, total.documents, total.damage],
    }
    (draft / FACTS).write_text(json.dumps(facts, indent=1))


@contextmanager
def _stretches(dump: Path, processes: int) -> Iterator[Iterator[Stretch]]:
    """Give the stretches of a dump in order, each beginning where the one before it ended, up to any damage."""
    size = dump.stat().st_size
    bounds = [(start, min(start + STRETCH_BYTES, size)) for start in range(0, size, STRETCH_BYTES)]
    # Forked: a process is ready in milliseconds. Nothing that runs before it (TensorFlow, gRPC) has threads to lose.
    with ProcessPoolExecutor(min(processes, len(bounds)) or 1, multiprocessing.get_context("fork")) as pool:
        try:
            yield _chained(dump, bounds, pool.map(partial(_scan, dump), bounds))
        except BrokenProcessPool as error:
            raise DumpIndexError(f"a process that read {dump} was killed: run the same command again") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _scan(dump: Path, bounds: tuple[int, int]) -> Stretch:
    return scan(dump, *bounds, guess=bounds[0] > 0)


def _chained(dump: Path, bounds: list[tuple[int, int]], found: Iterator[Stretch]) -> Iterator[Stretch]:
    expected = 0
    for (_, stop), guessed in zip(bounds, found, strict=True):
        if expected >= stop:  # within one long document
            continue
        stretch = guessed if guessed.start == expected else scan(dump, expected, stop)
        expected = stretch.end
        yield stretch
        if stretch.damage:
            return


def _identity(dump: Path) -> list[int]:
    """Return what changes when the dump does: its size in bytes and its time of change in nanoseconds."""
    status = dump.stat()
    return [status.st_size, status.st_mtime_ns]


def _mapped(path: Path, dtype: np.dtype, count: int) -> np.ndarray:
    if path.stat().st_size != count * dtype.itemsize:
        raise ValueError(f"{path} is cut")
    return np.memmap(path, dtype, "r", shape=(count,)) if count else np.empty(0, dtype)

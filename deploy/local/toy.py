"""Draw a small shop catalog in the real dump's format, so that the demo runs whole with no data shipped.

Everything follows from the seed: the same arguments give bit-equal files under the same Pillow.
"""

import csv
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import bson
from bson.int64 import Int64

from deploy.local.toy_pictures import pictures
from deploy.local.toy_shapes import SHELVES, Shelf

#: One product in so many shows another's pictures, byte for byte: a split by picture must have work to do.
COPY_EVERY = 20
#: The nth shelf's share is 1 / (n + this): the fullest holds about three times the emptiest.
TAIL = 24


@dataclass(frozen=True)
class ToyCatalog:
    """The four files, named as the real ones."""

    dump: Path
    categories: Path
    listings: Path
    labels: Path


def draw(folder: Path, products: int = 640, listings: int = 160, seed: int = 7) -> ToyCatalog:
    """Write a dump of `products`, and `listings` without category whose labels are a file of their own.

    `folder` is made if need be; files of an earlier run are replaced, each at once.
    """
    rng = random.Random(seed)
    names = ("train.bson", "category_names.csv", "test.bson", "test_labels.csv")
    catalog = ToyCatalog(*(folder / name for name in names))
    folder.mkdir(parents=True, exist_ok=True)
    ids = rng.sample(range(10, 15_000_000), products + listings)
    shelves = rng.sample(SHELVES, len(SHELVES))
    dump = list(zip(ids[:products], _stock(shelves, products, rng), strict=True))
    unseen = list(zip(ids[products:], _stock(shelves, listings, rng), strict=True))
    _write_products(catalog.dump, dump, rng, labelled=True)
    _write_products(catalog.listings, unseen, rng, labelled=False)
    tree = [(shelf.id, shelf.level1, shelf.level2, shelf.level3) for shelf in SHELVES]
    _write_rows(catalog.categories, ("category_id", *(f"category_level{level}" for level in (1, 2, 3))), tree)
    _write_rows(catalog.labels, ("_id", "category_id"), [(identifier, shelf.id) for identifier, shelf in unseen])
    return catalog


def _stock(shelves: Sequence[Shelf], count: int, rng: random.Random) -> list[Shelf]:
    """Spread `count` products over the shelves, earlier ones fuller, in random order."""
    sums = list(accumulate(1 / (place + TAIL) for place in range(len(shelves))))
    bounds = [0, *(round(count * share / sums[-1]) for share in sums)]
    stock = [shelf for shelf, (start, end) in zip(shelves, pairwise(bounds), strict=True) for _ in range(start, end)]
    rng.shuffle(stock)
    return stock


def _write_products(path: Path, stock: Iterable[tuple[int, Shelf]], rng: random.Random, labelled: bool) -> None:
    latest: dict[int, list[bytes]] = {}  # one product a shelf, so that memory does not grow with the dump
    with _replacing(path) as partial, partial.open("wb") as file:
        for place, (identifier, shelf) in enumerate(stock, start=1):
            if place % COPY_EVERY or shelf.id not in latest:
                latest[shelf.id] = list(pictures(shelf, rng))
            label = {"category_id": Int64(shelf.id)} if labelled else {}
            imgs = [{"picture": picture} for picture in latest[shelf.id]]
            file.write(bson.encode({"_id": Int64(identifier), **label, "imgs": imgs}))


def _write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with _replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a name to write to; it becomes `path` only if all went well."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

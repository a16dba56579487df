"""What grows, and what a product takes at each size of it."""

import io
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count, pairwise
from typing import Any

import numpy as np
from bson.int64 import Int64
from PIL import Image

#: of each, its median and what its runs were
Microseconds = dict[str, list[float]]
DRAWN = 400
TENTHS = 10


@dataclass(frozen=True)
class Axis:
    """One thing that grows while all else stays."""

    unit: str
    #: size -> runs
    sizes: dict[int, int]
    #: products of a run, where they are not what grows
    products: int = 0

    def small(self) -> "Axis":
        """Return the same to be tried."""
        shrunk = {size // 20 if size > 512 else size: 1 for size in self.sizes}
        return Axis(self.unit, shrunk, self.products // 4)


AXES = {
    "products": Axis("products in the backlog, and in the store at its end", {1000: 5, 10_000: 3, 100_000: 2}),
    "pages": Axis("products in a page", dict.fromkeys((8, 16, 32, 64, 128, 256, 512), 3), 4096),
    "children": Axis("children of the worker", dict.fromkeys((1, 2, 3, 4), 3), 6144),
    "depth": Axis("products that wait behind", dict.fromkeys((0, 10_000, 100_000, 1_000_000), 3), 4096),
}


def in_turns(axis: Axis, seconds: Callable[[int], float], seed: int = 1) -> Microseconds:
    """Run each size so often, in rounds of which each has an order of its own; return the microseconds of a product."""
    chance, found = random.Random(seed), {str(size): [] for size in axis.sizes}
    for turn in range(max(axis.sizes.values())):
        sizes = [size for size, runs in axis.sizes.items() if runs > turn]
        for size in chance.sample(sizes, len(sizes)):
            found[str(size)].append(1e6 * seconds(size) / (axis.products or size))
    return found


def tenths(pages: Iterable[dict[str, Any]]) -> list[float]:
    """Return the microseconds of a product in each tenth of a run, by when its pages are logged to be done."""
    done = sorted((datetime.fromisoformat(page["timestamp"]).timestamp(), page["products"]) for page in pages)
    ends = [round(part * (len(done) - 1) / TENTHS) for part in range(TENTHS + 1)]
    return [
        1e6 * (done[end][0] - done[start][0]) / sum(products for _, products in done[start + 1 : end + 1])
        for start, end in pairwise(ends)
    ]


def slim() -> Iterator[dict[str, Any]]:
    """Yield listings without end, ids from 0 on, each with one picture of 180 x 180 in 2.8 KB that no other has."""
    generator = np.random.default_rng(1)
    pictures = [_drawn(generator) for _ in range(DRAWN)]
    for product in count():
        picture = pictures[product % DRAWN]
        comment = b"\xff\xfe\x00\x0a" + product.to_bytes(8, "big")  # behind a JPEG's first marker: other bytes
        yield {"_id": Int64(product), "imgs": [{"picture": picture[:2] + comment + picture[2:]}]}


def _drawn(generator: np.random.Generator) -> bytes:
    coarse = Image.fromarray(generator.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    data = io.BytesIO()
    coarse.resize((180, 180), Image.Resampling.BICUBIC).save(data, "JPEG", quality=30)
    return data.getvalue()

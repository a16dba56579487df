"""Listings that are so small that what a product takes is not hidden by what its bytes take."""

import io
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from bson.int64 import Int64
from PIL import Image

from tests.benchmarks.dumps import numbered

DRAWN = 400


def slim() -> Iterator[dict[str, Any]]:
    """Yield listings without end, ids from 0 on, each with one picture of 180 x 180 in 2.8 KB that no other has."""
    generator = np.random.default_rng(1)
    pictures = [_drawn(generator) for _ in range(DRAWN)]
    for product in count():
        yield {"_id": Int64(product), "imgs": [{"picture": numbered(pictures[product % DRAWN], product)}]}


def _drawn(generator: np.random.Generator) -> bytes:
    coarse = Image.fromarray(generator.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    data = io.BytesIO()
    coarse.resize((180, 180), Image.Resampling.BICUBIC).save(data, "JPEG", quality=30)
    return data.getvalue()

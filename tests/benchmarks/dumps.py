"""Draw a dump of any size whose pictures decode: as many and as large as CDiscount's, no two the same bytes."""

import io
import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import bson
import numpy as np
from bson.int64 import Int64
from PIL import Image

#: products by number of pictures, as in the real dump: 1.75 on the average
PICTURES = ((1, 2, 3, 4), (62, 17, 9, 12))
DRAWN = 400
CATEGORIES = 5000


def _drawn(chance: np.random.Generator) -> bytes:
    """Return one JPEG of 180 x 180 and about 4.7 KB: soft shapes and some grain."""
    coarse = Image.fromarray(chance.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize(
        (180, 180), Image.Resampling.BICUBIC
    )
    grain = chance.normal(0, 3.2, (180, 180, 3))
    pixels = np.clip(np.asarray(coarse, np.float32) + grain, 0, 255).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=70)
    return data.getvalue()


def draw(folder: Path, size: float, seed: int = 1) -> tuple[Path, Path]:
    """Write train.bson of about `size` bytes and category_names.csv; return both."""
    folder.mkdir(parents=True, exist_ok=True)
    dump, categories = folder / "train.bson", write_categories(folder / "category_names.csv")
    with dump.open("wb") as file:
        for listing in listings(seed):
            file.write(bson.encode(listing))
            if file.tell() >= size:
                break
    return dump, categories


def write_categories(path: Path) -> Path:
    """Write as many categories as the real tree's, nearly; return the file."""
    rows = [f"{1_000_000_000 + each},L{each % 49},L{each % 483},L{each}\n" for each in range(CATEGORIES)]
    path.write_text("category_id,category_level1,category_level2,category_level3\n" + "".join(rows))
    return path


def listings(seed: int = 1, copied: float = 0.0, pictures_each: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield listings without end, ids from 0 on; a share `copied` of them has the very pictures of an earlier one.

    They have as many pictures as CDiscount's, or `pictures_each`.
    """
    chance, generator = random.Random(seed), np.random.default_rng(seed)
    pictures = [_drawn(generator) for _ in range(DRAWN)]
    number, earlier = 0, []
    for product in count():
        if earlier and chance.random() < copied:
            imgs = chance.choice(earlier)
        else:
            imgs = []
            for _ in range(pictures_each or chance.choices(*PICTURES)[0]):
                number += 1
                imgs.append({"picture": numbered(chance.choice(pictures), number)})
            if copied:
                earlier.append(imgs)
        category = Int64(1_000_000_000 + chance.randrange(CATEGORIES))
        yield {"_id": Int64(product), "category_id": category, "imgs": imgs}


def numbered(picture: bytes, number: int) -> bytes:
    """Put a comment with a number behind the start of a JPEG: other bytes, the same pixels."""
    return picture[:2] + b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big") + picture[2:]

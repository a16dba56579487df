"""Draw a dump of any size whose pictures decode: as many and as large as CDiscount's, no two the same bytes."""

import io
import random
from pathlib import Path

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
    dump, categories = folder / "train.bson", folder / "category_names.csv"
    rows = [f"{1_000_000_000 + each},L{each % 49},L{each % 483},L{each}\n" for each in range(CATEGORIES)]
    categories.write_text("category_id,category_level1,category_level2,category_level3\n" + "".join(rows))
    chance, generator = random.Random(seed), np.random.default_rng(seed)
    pictures = [_drawn(generator) for _ in range(DRAWN)]
    number = 0
    with dump.open("wb") as file:
        for product in range(2**40):
            imgs = []
            for _ in range(chance.choices(*PICTURES)[0]):
                number += 1
                imgs.append({"picture": _numbered(chance.choice(pictures), number)})
            category = Int64(1_000_000_000 + chance.randrange(CATEGORIES))
            file.write(bson.encode({"_id": Int64(product), "category_id": category, "imgs": imgs}))
            if file.tell() >= size:
                break
    return dump, categories


def _numbered(picture: bytes, number: int) -> bytes:
    """Put a comment with a number behind the start of a JPEG: other bytes, the same pixels."""
    return picture[:2] + b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big") + picture[2:]

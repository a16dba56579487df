"""Listings and pictures drawn for tests."""

import io
import random
from collections.abc import Iterable
from typing import Any

import numpy as np
from bson.int64 import Int64
from PIL import Image, ImageDraw

from worker.wire import Pixels


def jpeg(seed: int, side: int = 180) -> bytes:
    """A JPEG that no other seed gives: coloured rectangles."""
    return encode(draw(seed, side), "JPEG", quality=90)


def draw(seed: int, side: int = 180) -> Image.Image:
    """The picture behind `jpeg`."""
    chance = random.Random(seed)
    image = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        left, top = chance.randrange(side - 20), chance.randrange(side - 20)
        colour = tuple(chance.randrange(256) for _ in range(3))
        pen.rectangle((left, top, left + chance.randrange(20, side), top + chance.randrange(20, side)), fill=colour)
    return image


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The picture as a file of `kind`."""
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def huge_png() -> bytes:
    """A PNG of a few bytes whose header claims 30,000 x 30,000 pixels."""
    data = bytearray(encode(Image.new("RGB", (1, 1)), "PNG"))
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def stacked(pictures: Iterable[np.ndarray]) -> Pixels:
    """Decoded pictures, uint8[height, width, 3], as a batch has them."""
    made = Pixels()
    for each in pictures:
        made.append(each.tobytes(), *each.shape[:2])
    return made


def listing(identity: int, *pictures: Any, category: int | None = None) -> dict[str, Any]:
    """A document as the catalog writes it; without pictures given, one of its own."""
    document: dict[str, Any] = {"_id": Int64(identity)}
    if category is not None:
        document["category_id"] = Int64(category)
    return {**document, "imgs": [{"picture": picture} for picture in pictures or (jpeg(identity),)]}

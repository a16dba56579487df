"""Sound pictures of every kind that a shop's sellers upload, and sound dumps: what mutations start from."""

import io
import tempfile
from functools import cache
from pathlib import Path

import bson
import numpy as np
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from PIL import Image, ImageCms, PngImagePlugin

from deploy.local import toy
from tests.pictures import draw, encode, jpeg, listing

SIDE = 40


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # on its side
    exif[0x010E] = "a thing for sale"
    return exif.tobytes()


def _animated() -> bytes:
    data = io.BytesIO()
    draw(1, SIDE).save(data, "PNG", save_all=True, append_images=[draw(2, SIDE), draw(3, SIDE)], duration=100)
    return data.getvalue()


def _texts() -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "a thing", zip=True)
    texts.add_itxt("Comment", "à vendre", "fr", zip=True)
    return texts


@cache
def pictures() -> tuple[bytes, ...]:
    """Return JPEGs and PNGs, each of another kind; the order never changes, or a seed would mean something else."""
    image = draw(1, SIDE)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    ramp = np.tile(np.linspace(0, 65535, SIDE).astype(np.uint16), (SIDE, 1))
    palette = image.convert("P")
    return (
        *(encode(image.convert(mode), "JPEG") for mode in ("RGB", "L", "CMYK")),
        *(encode(image, "JPEG", **each) for each in ({"progressive": True}, {"subsampling": 0}, {"optimize": True})),
        encode(image, "JPEG", restart_marker_blocks=2),
        encode(image, "JPEG", exif=_exif(), icc_profile=profile, comment=b"sold as seen"),
        jpeg(2),
        *(encode(image.convert(mode), "PNG") for mode in ("RGB", "L", "1", "P", "RGBA", "LA")),
        encode(palette, "PNG", transparency=0),
        encode(palette, "PNG", transparency=bytes(range(256))),
        encode(image, "PNG", transparency=(255, 255, 255)),
        encode(Image.fromarray(ramp), "PNG"),
        encode(Image.fromarray(ramp), "PNG", transparency=0),
        encode(image, "PNG", exif=_exif(), icc_profile=profile, pnginfo=_texts(), dpi=(72, 72)),
        _animated(),
    )


@cache
def dumps() -> tuple[bytes, ...]:
    """Return dumps of a few documents: the toy catalog's, the catalog's shape in small, and others of every type."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = toy.draw(Path(folder), products=4, listings=2, seed=3)
        real = drawn.dump.read_bytes(), drawn.listings.read_bytes()
    small = [bson.encode(listing(each, *[b"\xff\xd8\xff" * each] * (each % 5), category=each)) for each in range(1, 9)]
    late = bson.encode({"_id": Int64(20), "imgs": [{"picture": b"x"}, {"picture": b"yy"}], "category_id": Int64(5)})
    many = bson.encode(listing(21, *(bytes([each]) for each in range(14))))
    strange = [
        {"_id": ObjectId(b"shelvershelv"), "imgs": [{"picture": b"x"}]},
        {"_id": 5, "category_id": 2.5, "imgs": [{"picture": "text"}, {"picture": b"x", "alt": "y"}]},
        {"title": "à vendre", "_id": Int64(6), "imgs": [{"picture": b"x"}], "price": Decimal128("9.90")},
        {"_id": Int64(7), "imgs": {"0": {"picture": b"x"}}, "until": DatetimeMS(2**60)},
        {"_id": "x", "imgs": []},
        {"imgs": None},
    ]
    return (*real, b"".join(small), small[0] + late + many + small[1], b"".join(map(bson.encode, strange)), late)

"""Pictures as a dump holds them: JPEG or PNG within bounds, or a fault that says why not."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image

#: as in the worker: what claims more is not decoded, in pixels
MOST_PIXELS = 25_000_000
KINDS = ("JPEG", "PNG")
#: JPEGs that TensorFlow decodes to the same bits as Pillow
PLAIN_MODES = ("RGB", "L")
Image.MAX_IMAGE_PIXELS = None  # ours is checked before decoding; Pillow's only warns at first


class PictureFault(Exception):
    """Why a picture cannot be used, without its name."""


@contextmanager
def opened(picture: bytes) -> Iterator[Image.Image]:
    """Give the picture, its header read; raises PictureFault for what Pillow cannot read then or within the block."""
    try:
        with Image.open(io.BytesIO(picture), formats=KINDS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise PictureFault(f"claims {image.width:,} x {image.height:,} pixels")
            yield image
    except PictureFault:
        raise
    except Exception as error:  # Pillow's parsers raise whatever a hostile file makes them trip over
        raise PictureFault(f"does not decode ({type(error).__name__})") from error


def as_served(picture: bytes) -> bytes:
    """Return a picture that TensorFlow decodes to what the worker would send; raises PictureFault.

    A plain JPEG is that itself. What Pillow reads otherwise than TensorFlow (transparency, CMYK, 16 bits) becomes a
    plain PNG, as in the worker.
    """
    with opened(picture) as image:
        image.load()
        if image.format == "JPEG" and image.mode in PLAIN_MODES:
            return picture
        lossless = io.BytesIO()
        plain(image).save(lossless, "PNG", compress_level=1)
        return lossless.getvalue()


def plain(image: Image.Image) -> Image.Image:
    """Return a loaded picture as RGB, on white."""
    if image.mode.startswith("I"):  # 16 bits of grey; convert alone would turn all but the darkest white
        image = Image.fromarray((np.clip(np.asarray(image), 0, 2**16 - 1) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")

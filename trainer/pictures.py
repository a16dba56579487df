"""Pictures as a dump holds them: JPEG or PNG within bounds, or a fault that says why not."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

#: as in the worker: what claims more is not decoded, in pixels
MOST_PIXELS = 25_000_000
KINDS = ("JPEG", "PNG")
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


def fault_of(picture: bytes) -> str | None:
    """Say why a picture cannot be trained on; None for one that decodes."""
    try:
        with opened(picture) as image:
            image.load()
    except PictureFault as fault:
        return str(fault)
    return None

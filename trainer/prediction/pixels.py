"""Any picture that Pillow opens, as the pixels that a model takes."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from trainer.pictures import MOST_PIXELS, plain
from trainer.prediction.picture_source import PictureSourceError

#: what Pillow hands to another program (Ghostscript): too much to run for a picture from anywhere
LEFT_OUT = {"EPS"}


def to_pixels(file: BinaryIO, name: str, side: int) -> np.ndarray:
    """Decode a picture to uint8[side, side, 3]: its first frame, upright, on white, resized as the worker does.

    Raises PictureSourceError, naming it, for what is no picture, is damaged or has more than MOST_PIXELS.
    """
    try:
        with _bounded(), Image.open(file, formats=_formats()) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError(f"{image.width:,} x {image.height:,}")
            return np.asarray(_upright(image).resize((side, side), Image.Resampling.BILINEAR))
    except UnidentifiedImageError as error:
        raise PictureSourceError(f"{name} is no picture of a kind that can be read: give a JPEG or PNG") from error
    except Image.DecompressionBombError as error:
        raise PictureSourceError(f"{name} has more than {MOST_PIXELS:,} pixels: make it smaller") from error
    except Exception as error:  # Pillow's parsers raise whatever a hostile file makes them trip over
        raise PictureSourceError(f"{name} is a damaged picture ({error or type(error).__name__})") from error


def _upright(image: Image.Image) -> Image.Image:
    """Return RGB, upright and on white."""
    image.load()
    with suppress(Exception):  # a camera's notes that cannot be read: the picture can
        image = ImageOps.exif_transpose(image)
    return plain(image)


def _formats() -> list[str]:
    Image.init()
    return [each for each in Image.ID if each not in LEFT_OUT]


@contextmanager
def _bounded() -> Iterator[None]:
    """Set Pillow's own limit, for pictures within pictures (icons) whose size the header does not tell."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # it refuses from twice that on
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about oddities of the file that do no harm
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before

"""Small copies of some products' pictures, for the report."""

import base64
import io
from collections.abc import Collection, Iterable

import numpy as np
from PIL import Image

from trainer.evaluation.answers import first_rows
from trainer.feed import Batch

#: pixels of the longer side
SIDE = 84


def thumbnails(batches: Iterable[Batch], products: Collection[int]) -> dict[int, str]:
    """Return the first picture of each product as the data URI of a JPEG; reading ends with the last one found."""
    found: dict[int, str] = {}
    for batch in batches if products else ():
        firsts = first_rows(batch.product)
        for row in firsts[np.isin(batch.product[firsts], list(products))].tolist():
            found[int(batch.product[row])] = _data_uri(batch.pixels[row])
        if len(found) == len(products):
            break
    return found


def _data_uri(pixels: np.ndarray) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"

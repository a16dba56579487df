"""Pictures of stored products for people: what MongoDB holds is decoded, checked and drawn anew, never passed on."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont, ImageOps

from worker.catalog import Catalog
from worker.contract.product import Product
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import Settings
from worker.contract.signature import Signature
from worker.pictures import Stacker

#: what stands where a picture is missing
WITHDRAWN = "withdrawn from the catalog"
NO_PICTURE = "no picture can be shown"

QUALITY = 88


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A square JPEG, white around what is not square."""

    data: bytes
    #: why there is no picture; None when there is one
    problem: str | None = None


def first_pictures(catalog: Catalog, settings: Settings, ids: Sequence[int], side: int) -> dict[int, Thumbnail]:
    """Return each product's first sound picture, at most `side` pixels wide, or a placeholder of that size.

    Raises Unavailable when MongoDB does not answer.
    """
    products, rejects = catalog.load(ids)
    missing = {each.product_id: placeholder(_why(each), side) for each in rejects}
    drawn = {each.id: next(_sound(each, settings, side), placeholder(NO_PICTURE, side)) for each in products}
    return missing | drawn


def all_pictures(catalog: Catalog, settings: Settings, product_id: int, side: int) -> list[Thumbnail]:
    """Return a product's pictures in order, damaged ones as placeholders; one placeholder for a product without any.

    Raises Unavailable when MongoDB does not answer.
    """
    products, rejects = catalog.load([product_id])
    if rejects:
        return [placeholder(_why(rejects[0]), side)]
    return [_draw(data, settings, side) for data in products[0].pictures[: settings.max_pictures]]


@cache
def placeholder(text: str, side: int) -> Thumbnail:
    """Return a grey square with few words in it."""
    image = Image.new("RGB", (side, side), "#eceef1")
    words = text.replace(" ", "\n", 1) if len(text) * 7 > side else text
    font = ImageFont.load_default(size=max(11, side // 14))
    ImageDraw.Draw(image).multiline_text(
        (side / 2, side / 2), words, fill="#6b7280", anchor="mm", align="center", font=font
    )
    return Thumbnail(_jpeg(image), text)


def _sound(product: Product, settings: Settings, side: int) -> Iterator[Thumbnail]:
    for data in product.pictures[: settings.max_pictures]:
        drawn = _draw(data, settings, side)
        if drawn.problem is None:
            yield drawn


def _draw(data: bytes | None, settings: Settings, side: int) -> Thumbnail:
    batch, rejects = Stacker(settings, Signature.PIXELS, None).stack([Product(0, (data,))])
    if rejects:
        return placeholder(NO_PICTURE, side)
    image = Image.fromarray(batch.pictures[0])
    side = min(side, max(image.size))
    return Thumbnail(_jpeg(ImageOps.pad(image, (side, side), color="white")))


def _why(reject: Reject) -> str:
    return WITHDRAWN if reject.reason is Reason.NOT_FOUND else NO_PICTURE


def _jpeg(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=QUALITY)
    return data.getvalue()

"""Check and decode pictures with Pillow, and stack them into what the model takes."""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from billiard.exceptions import SoftTimeLimitExceeded
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from worker import jpeg
from worker.contract.product import Product
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import Settings
from worker.contract.signature import Signature
from worker.wire import Encoded, Pictures, Pixels

# Pillow's own limit only warns up to twice its value; ours is a setting and is checked before any decoding.
Image.MAX_IMAGE_PIXELS = None

MAGIC = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n"}
#: what starts a scan of a JPEG. A progressive one has ten; each costs a pass over the whole picture, and a file of
#: thousands would hold its process for minutes, in C, where no time limit is heard
SCAN, MOST_SCANS = b"\xff\xda", 100
#: JPEGs that TensorFlow decodes to the same bits as Pillow
PLAIN_MODES = ("RGB", "L")
#: the page's time is up, or the machine's memory
NOT_THE_PICTURES_FAULT = (SoftTimeLimitExceeded, MemoryError)


def _plain(colour: str) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (180, 180), colour).save(data, "JPEG")
    return data.getvalue()


#: what no sound model fails at
GREY, WHITE = _plain("grey"), _plain("white")


class PictureError(Exception):
    """This picture cannot be used; its product may have others."""

    def __init__(self, reason: Reason, detail: str):
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one Predict call, every product's pictures together."""

    products: list[Product]
    #: N of uint8[side, side, 3], or N encoded ones
    pictures: Pictures
    #: int64[N], which product each row is of: its pictures' key, so that in a batch that the model server merges from
    #: several requests a product counts as one with itself only where its pictures are the same
    product: NDArray[np.int64]
    #: int32[N], which of its pictures
    picture: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Stacker:
    """Turns products into batches for one model."""

    settings: Settings
    signature: Signature
    #: pixels; None when the model resizes by itself and does not say to what
    side: int | None

    def stack(self, products: Sequence[Product], prove: bool = False) -> tuple[Batch, list[Reject]]:
        """Return one batch of the sound pictures and a reject for every product without any.

        JPEG bytes go as they are once their header is sound, which is enough for all but damaged ones; `prove` decodes
        them here and sends what Pillow made of them, without loss. Pixels are always proven.
        """
        rows: Pictures = Pixels() if self.signature is Signature.PIXELS else Encoded()
        owners: list[tuple[int, int]] = []
        sound: list[Product] = []
        rejects: list[Reject] = []
        for product in products:
            usable, faults = self._add(product, rows, prove)
            if not usable:
                detail = "; ".join(f"picture {index}: {fault.detail}" for index, fault in faults)
                rejects.append(Reject(product.id, faults[0][1].reason, detail))
                continue
            sound.append(product)
            owners += [(product.picture_key, index) for index in usable]
        keys = np.array([key for key, _ in owners], np.int64)
        indices = np.array([index for _, index in owners], np.int32)
        return Batch(sound, rows, keys, indices), rejects

    def _add(self, product: Product, rows: Pictures, prove: bool) -> tuple[list[int], list[tuple[int, PictureError]]]:
        """Add a product's sound pictures to the rows; return which they are, and what is wrong with the others."""
        usable: list[int] = []
        faults: list[tuple[int, PictureError]] = []
        for index, data in enumerate(product.pictures[: self.settings.max_pictures]):
            try:
                if isinstance(rows, Encoded):
                    rows.append(self._encoded(data, prove))
                else:
                    shown = self._decoded(data)
                    rows.append(shown.tobytes(), shown.height, shown.width)
            except PictureError as error:
                faults.append((index, error))
            else:
                usable.append(index)
        return usable, faults

    def _decoded(self, data: bytes | None) -> Image.Image:
        """Return RGB of the model's size."""
        plain = _plain_jpeg(data, self.settings)
        image = jpeg.decode(*plain) if plain else None
        return _fitted(image or _decode(open_picture(data, self.settings)), self.side)

    def _encoded(self, data: bytes | None, prove: bool) -> bytes:
        """Return what the graph's decoder takes: the picture as it is, or without loss what it looks like; that may be
        PNG, which the decoder reads as well."""
        if prove:
            shown = self._decoded(data)
        elif plain := _plain_jpeg(data, self.settings):
            return plain[0]
        else:
            image = open_picture(data, self.settings)
            if image.format == "JPEG" and image.mode in PLAIN_MODES and data:
                return data
            shown = _fitted(_decode(image), self.side)
        lossless = io.BytesIO()
        shown.save(lossless, "PNG", compress_level=1)
        return lossless.getvalue()


def _plain_jpeg(data: bytes | None, settings: Settings) -> tuple[bytes, jpeg.Header] | None:
    """Return a plain JPEG within all limits, and its header; None when it takes a closer look."""
    if data is None or len(data) > settings.max_picture_bytes or not data.startswith(MAGIC["JPEG"]):
        return None
    header = jpeg.read(data)
    if header is None or header.width * header.height > settings.max_picture_pixels or data.count(SCAN) > MOST_SCANS:
        return None
    return data, header


def open_picture(data: bytes | None, settings: Settings) -> Image.Image:
    """Return the picture with only its header read; raises PictureError for what must not be decoded."""
    if data is None:
        raise PictureError(Reason.NOT_BYTES, "is not binary data")
    if len(data) > settings.max_picture_bytes:
        raise PictureError(Reason.TOO_LARGE, f"has {len(data):,} bytes, more than {settings.max_picture_bytes:,}")
    kind = next((name for name, magic in MAGIC.items() if data.startswith(magic)), None)
    if kind is None:
        start = f"starts with {data[:8]!r}" if data else "is empty"
        raise PictureError(Reason.WRONG_FORMAT, f"is neither JPEG nor PNG ({start})")
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
    except NOT_THE_PICTURES_FAULT:
        raise
    except UnidentifiedImageError as error:
        raise PictureError(Reason.UNDECODABLE, f"is a damaged {kind} (no readable header)") from error
    except Exception as error:  # Pillow's parsers raise whatever a hostile file makes them trip over
        raise PictureError(Reason.UNDECODABLE, f"is a damaged {kind} ({error})") from error
    if image.width * image.height > settings.max_picture_pixels:
        limit = f"{settings.max_picture_pixels:,} pixels"
        raise PictureError(Reason.TOO_LARGE, f"claims {image.width:,} x {image.height:,}, more than {limit}")
    if kind == "JPEG" and (scans := data.count(SCAN)) > MOST_SCANS:
        raise PictureError(Reason.TOO_LARGE, f"has {scans:,} scans, more than {MOST_SCANS}")
    return image


def _decode(image: Image.Image) -> Image.Image:
    """Return RGB on white; raises PictureError."""
    try:
        image.load()
        if image.mode.startswith("I"):  # 16 bits of grey; convert alone would turn all but the darkest white
            image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
        if image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        return image.convert("RGB")
    except NOT_THE_PICTURES_FAULT:
        raise
    except Exception as error:  # as above
        raise PictureError(Reason.UNDECODABLE, f"is a damaged {image.format} ({error})") from error


def _fitted(image: Image.Image, side: int | None) -> Image.Image:
    """Return RGB, resized to side x side where it is not; the exported graph resizes alike."""
    coloured = image if image.mode == "RGB" else image.convert("RGB")
    if side is None or coloured.size == (side, side):
        return coloured
    return coloured.resize((side, side), Image.Resampling.BILINEAR)


def groups(products: Iterable[Product], settings: Settings) -> Iterator[list[Product]]:
    """Yield the products in groups that fit one Predict call; a product is never cut in two."""
    group: list[Product] = []
    pictures = 0
    for product in products:
        count = min(len(product.pictures), settings.max_pictures)
        if pictures + count > settings.max_batch_pictures:
            yield group
            group, pictures = [], 0
        group.append(product)
        pictures += count
    if group:
        yield group

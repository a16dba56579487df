"""Ask the served model about products of no page, with the checks that workers make of their pictures."""

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.contract.product import Product
from worker.contract.settings import Settings
from worker.outcome import Prediction
from worker.pictures import Batch, Stacker, groups
from worker.serving import Refused, Serving

#: pixels, of the longer side
THUMBNAIL_SIDE = 160


class Source(StrEnum):
    """Where the pictures of an item come from."""

    UPLOAD = "upload"
    URL = "URL"
    CATALOG = "catalog"


@dataclass(frozen=True, slots=True)
class Item:
    """A product to ask about, listed or not."""

    source: Source
    #: by which a person knows it: a file, an address, a product id
    name: str
    #: name and bytes of each picture
    pictures: tuple[tuple[str, bytes | None], ...]
    #: the shelf its seller chose
    listed_id: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of an item."""

    item: Item
    prediction: Prediction
    #: small JPEGs of its sound pictures, square as the model sees them
    thumbnails: list[bytes]


@dataclass(slots=True)
class Round:
    """What came of asking about several items."""

    #: in the order of their items; those without a sound picture have none
    answers: list[Answer] = field(default_factory=list)
    #: a sentence for everything that was left out
    problems: list[str] = field(default_factory=list)
    decode_seconds: float = 0.0
    #: on the way to the model server and back, too
    model_seconds: float = 0.0


def classify(items: Sequence[Item], settings: Settings, serving: Serving) -> Round:
    """Ask about all of them, in one Predict call if SHELVER_MAX_BATCH_PICTURES allows.

    Raises ModelUnfit when the model is missing or none of ours, Unavailable when the model server does not answer.
    """
    return _Classifying(items, settings, serving).round()


class _Classifying:
    def __init__(self, items: Sequence[Item], settings: Settings, serving: Serving):
        self._items = items
        self._settings = settings
        self._serving = serving
        self._stacker = Stacker(settings, settings.model_signature, serving.model().side)
        self._found = Round()
        self._answers: dict[int, Answer] = {}  # by place in `items`

    def round(self) -> Round:
        products = [Product(place, tuple(data for _, data in item.pictures)) for place, item in enumerate(self._items)]
        alike: dict[bytes, list[Product]] = {}  # to the model, products with the same pictures are one
        for product in products:
            alike.setdefault(product.fingerprint, []).append(product)
        for group in groups((twins[0] for twins in alike.values()), self._settings):
            batch = self._stacked(group)
            for product in group:
                for twin in alike[product.fingerprint]:
                    self._tell_unsound(twin, batch)
            self._predict(batch, alike)
        self._found.answers = [self._answers[place] for place in sorted(self._answers)]
        return self._found

    def _stacked(self, products: list[Product]) -> Batch:
        with self._timed("decode_seconds"):
            return self._stacker.stack(products, prove=True)[0]

    def _tell_unsound(self, product: Product, batch: Batch) -> None:
        """Add a sentence for each picture that the batch left out."""
        used = set(batch.picture[batch.product == product.picture_key].tolist())
        for index, (name, data) in enumerate(self._items[product.id].pictures):
            if index not in used:
                _, rejects = self._stacker.stack([Product(0, (data,))], prove=True)
                limit = f"is left out: {self._settings.max_pictures} pictures of a product are used"
                told = rejects[0].detail.removeprefix("picture 0: ") if rejects else limit
                self._found.problems.append(f"{name} {told}")

    def _predict(self, batch: Batch, alike: dict[bytes, list[Product]]) -> None:
        """Add the answers; where the model refuses the batch, a sentence for each product that it refuses alone."""
        try:
            with self._timed("model_seconds"):
                predictions = self._serving.predict(batch) if batch.products else []
        except Refused as error:
            if len(batch.products) == 1:
                refused = [self._items[twin.id].name for twin in alike[batch.products[0].fingerprint]]
                self._found.problems += [f"{name} is refused by the model: {error}" for name in refused]
            else:
                for product in batch.products:
                    self._predict(self._stacked([product]), alike)
            return
        for prediction in predictions:
            rows = np.flatnonzero(batch.product == prediction.product.picture_key)
            thumbnails = [_thumbnail(batch.pictures[row]) for row in rows.tolist()]
            for twin in alike[prediction.product.fingerprint]:
                self._answers[twin.id] = Answer(self._items[twin.id], prediction, thumbnails)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        setattr(self._found, stage, getattr(self._found, stage) + time.monotonic() - started)


def _thumbnail(row: NDArray[np.uint8] | bytes) -> bytes:
    image = Image.open(io.BytesIO(row)) if isinstance(row, bytes) else Image.fromarray(row)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    small = io.BytesIO()
    image.save(small, "JPEG", quality=85)
    return small.getvalue()

"""The categories of products as a run's network sees their pictures."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from trainer.evaluation.answers import Compiled, first_rows
from trainer.graph import Classifier, decode
from trainer.pictures import PictureFault, as_served
from worker.contract.product import Product

#: pictures through the network at a time
BATCH = 64


class RunAnswers:
    """Answers by the mean over all pictures of a product that TensorFlow decodes, as the published model would."""

    page_size = BATCH

    def __init__(self, classifier: Classifier, first_class: int):
        """Take a graph whose classes are of level 3; `first_class` is the fallback until there is an answer."""
        self._classifier = classifier
        self._compiled = Compiled(classifier)
        side = classifier.side
        self._decode = tf.function(lambda data: decode(data, side), input_signature=[tf.TensorSpec((), tf.string)])
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._first_class = first_class
        self._predicted: Counter[int] = Counter()
        self._undecodable = 0

    def categories(self, products: Sequence[Product]) -> dict[int, int]:
        """Return product id -> category id, without those that have no picture that decodes; ids must differ."""
        rows = [(product.id, place, picture) for product in products for place, picture in enumerate(product.pictures)]
        logits, sound = self._logits([picture for *_, picture in rows])
        if not sound:
            return {}
        product = np.array([rows[each][0] for each in sound], np.int64)
        picture = np.array([rows[each][1] for each in sound], np.int32)
        answers = self._compiled.answer(logits, product, picture, np.float32(self._classifier.temperature))
        firsts = first_rows(product)
        best = answers["category"].numpy()[firsts, 0].tolist()
        self._predicted.update(best)
        return dict(zip(product[firsts].tolist(), best, strict=True))

    def fallback(self) -> int:
        """Return the category that was predicted most often so far; of several, the lowest id."""
        most = max(self._predicted.values(), default=0)
        return min((each for each, count in self._predicted.items() if count == most), default=self._first_class)

    def remarks(self) -> Iterator[str]:
        """Say how many pictures were of no use."""
        if self._undecodable:
            yield f"{self._undecodable:,} pictures do not decode and are left out of their products' mean"

    def _logits(self, pictures: list[bytes | None]) -> tuple[np.ndarray, list[int]]:
        """Return float32[M, C] for those that decode, and their places; pixels are held a batch at a time."""
        found, sound = [], []
        for start in range(0, len(pictures), BATCH):
            decoded = list(self._pool.map(self._pixels, pictures[start : start + BATCH]))
            places = [place for place, pixels in enumerate(decoded) if pixels is not None]
            if places:
                found.append(self._compiled.logits(np.stack([decoded[place] for place in places])).numpy())
                sound += [start + place for place in places]
        self._undecodable += len(pictures) - len(sound)
        return np.concatenate(found) if found else np.empty((0, 0), np.float32), sound

    def _pixels(self, picture: bytes | None) -> np.ndarray | None:
        if picture is None:
            return None
        try:
            with tf.device("/CPU:0"):
                return self._decode(tf.constant(as_served(picture))).numpy()
        except (PictureFault, tf.errors.InvalidArgumentError):
            return None

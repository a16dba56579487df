"""The frozen backbone's view of pictures, decoded as the exported graph decodes them."""

import logging
from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from trainer.graph import decode
from worker.contract.errors import ShelverError

logger = logging.getLogger("trainer")

#: pictures through the backbone at a time
BATCH = 32


class FeaturesError(ShelverError):
    """There is nothing to train on."""


def decoded(
    pictures: Iterable[tuple[int, int, bytes]], side: int, undecodable: Callable[[int], None]
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Turn (product, category, JPEG bytes) into (product, category, uint8[side, side, 3]).

    A picture that does not decode is told to `undecodable` by its product and left out.
    """
    for product, category, picture in pictures:
        try:
            pixels = decode(tf.constant(picture), side).numpy()
        except tf.errors.InvalidArgumentError:
            logger.warning("a picture of product %d does not decode and is left out", product)
            undecodable(product)
            continue
        yield product, category, pixels


def extract(
    backbone: keras.Model, pictures: Iterable[tuple[int, int, np.ndarray]], advance: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return float32[2N, F] features of N pictures and their mirror images, and int64[2N] category ids."""
    forward = tf.function(lambda pixels: backbone(tf.cast(pixels, tf.float32), training=False), reduce_retracing=True)
    values: list[np.ndarray] = []
    categories: list[int] = []
    batch: list[np.ndarray] = []

    def flush() -> None:
        pixels = np.stack(batch)
        values.extend((forward(pixels).numpy(), forward(pixels[:, :, ::-1]).numpy()))
        advance(len(batch))
        batch.clear()

    pending: list[int] = []
    for _, category, pixels in pictures:
        batch.append(pixels)
        pending.append(category)
        if len(batch) == BATCH:
            flush()
            categories += pending * 2
            pending.clear()
    if batch:
        flush()
        categories += pending * 2
    if not values:
        raise FeaturesError("no picture of the training products decodes: is it a dump of JPEG pictures?")
    return np.concatenate(values), np.array(categories, np.int64)

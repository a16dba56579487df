"""Where the examples of a phase come from: pictures, or their features as the frozen backbone saw them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from trainer import feed
from trainer.data import Data
from trainer.feed import Share


class Source(ABC):
    """Examples to train on, anew each epoch, and examples to validate by."""

    def __init__(self, examples: int, validation_examples: int, share: Share):
        self.examples = examples
        self.validation_examples = validation_examples
        self._share = share

    @abstractmethod
    def _training(self, epoch: int, skip: int) -> tf.data.Dataset:
        """Return (example, int32 class) of this share, less the first `skip`."""

    @abstractmethod
    def _validation(self) -> tf.data.Dataset:
        """Return (example, int32 class) of all validation examples."""

    def steps(self, batch: int, replicas: int) -> int:
        """Return the steps of an epoch; what does not fill a batch on every device is left to a later epoch."""
        return self.examples // batch if replicas > 1 else -(-self.examples // batch)

    def training(self, strategy: tf.distribute.Strategy, batch: int, epoch: int, done: int) -> tf.data.Dataset:
        """Return batches of an epoch, after the `done` ones, spread over the devices."""
        replicas = strategy.num_replicas_in_sync

        def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
            local = context.get_per_replica_batch_size(batch)
            examples = self._training(epoch, done * batch // self._share.count)
            return examples.batch(local, drop_remainder=replicas > 1).prefetch(2)

        return strategy.distribute_datasets_from_function(make)

    def validation(self, strategy: tf.distribute.Strategy, batch: int) -> tf.data.Dataset:
        """Return batches of (example, class, weight), filled up with weight 0 so that all devices end alike."""
        missing = -self.validation_examples % max(batch, 1)

        def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
            real = self._validation().map(lambda example, label: (example, label, 1.0))
            filling = self._validation().repeat().take(missing).map(lambda example, label: (example, label, 0.0))
            examples = real.concatenate(filling).shard(self._share.count, self._share.index)
            return examples.batch(context.get_per_replica_batch_size(batch)).prefetch(2)

        return strategy.distribute_datasets_from_function(make)


class Pictures(Source):
    """uint8[side, side, 3], decoded as they are needed."""

    def __init__(self, data: Data, side: int, seed: int, share: Share):
        super().__init__(data.splits["train"].pictures, data.splits["validation"].pictures, share)
        self._data, self._side, self._seed = data, side, seed

    def _training(self, epoch: int, skip: int) -> tf.data.Dataset:
        return feed.training(self._data, self._side, self._seed, epoch, self._share, skip)

    def _validation(self) -> tf.data.Dataset:
        return in_order(self._data, "validation", self._side)


class Features(Source):
    """float32[F], read from the files that `extract` wrote; an epoch is a permutation of their rows."""

    def __init__(self, training: np.ndarray, validation: np.ndarray, seed: int, share: Share):
        super().__init__(len(training), len(validation), share)
        self._rows, self._validation_rows, self._seed = training, validation, seed

    def _training(self, epoch: int, skip: int) -> tf.data.Dataset:
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._rows))
        return _rows_of(self._rows, order[self._share.index :: self._share.count][skip:])

    def _validation(self) -> tf.data.Dataset:
        return _rows_of(self._validation_rows, np.arange(len(self._validation_rows)))


def in_order(data: Data, split: str, side: int) -> tf.data.Dataset:
    """Return (uint8[side, side, 3], int32 class) of every picture of a split, in order of the shards."""
    return feed.decoded(feed.pictures(data.splits[split], ("picture", "class")), side)


#: rows read from the file in one call
GATHERED = 256


def _rows_of(rows: np.ndarray, order: np.ndarray) -> tf.data.Dataset:
    width = rows.dtype["features"].shape[0]

    def gather(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = rows[places]
        return chosen["features"], chosen["label"]

    def read(places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features, labels = tf.numpy_function(gather, [places], (tf.float32, tf.int32), stateful=False)
        return tf.ensure_shape(features, (None, width)), tf.ensure_shape(labels, (None,))

    return tf.data.Dataset.from_tensor_slices(order).batch(GATHERED).map(read).unbatch()


def row_type(width: int) -> np.dtype:
    """Return the row of a feature file: its class, and float32[width]."""
    return np.dtype([("label", "<i4"), ("features", "<f4", (width,))])


#: pictures through the backbone at a time
BATCH = 32


def extract(
    backbone, pictures: tf.data.Dataset, path: Path, mirrored: bool, advance: Callable[[int], None]
) -> np.ndarray:
    """Write the features of pictures, and of their mirror images, to a file; return its rows, mapped.

    A file that is there is gone on with: pictures come in the same order each time.
    """
    dtype = row_type(backbone.output.shape[-1])
    forward = tf.function(lambda pixels: backbone(tf.cast(pixels, tf.float32), training=False), reduce_retracing=True)
    a_batch = BATCH * dtype.itemsize * (1 + mirrored)
    whole = path.stat().st_size // a_batch if path.exists() else 0  # whole batches that are written
    with path.open("ab") as file:
        file.truncate(whole * a_batch)
        advance(whole * BATCH)
        for pixels, labels in pictures.batch(BATCH).skip(whole).prefetch(2):
            for view in (pixels, pixels[:, :, ::-1])[: 1 + mirrored]:
                rows = np.empty(len(labels), dtype)
                rows["label"], rows["features"] = labels, forward(view)
                rows.tofile(file)
            advance(len(labels))
    return np.memmap(path, dtype, "r") if path.stat().st_size else np.empty(0, dtype)

"""The exported graph: everything after the bytes of a picture, so that training and serving cannot differ.

    decode -> network -> temperature -> softmax -> mean over a product's pictures -> roll-up -> top-k

TensorFlow Serving concatenates requests and pads a batch by repeating a row. Neither may change an answer, so
rows are grouped by `product`, and a (product, picture) pair counts once however often it appears.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from worker.contract import signature
from worker.contract.signature import PREFIXES, Signature
from worker.contract.taxonomy import Taxonomy

DTYPES = {"uint8": tf.uint8, "int32": tf.int32, "int64": tf.int64, "float32": tf.float32, "bytes": tf.string}


def decode(picture: tf.Tensor, side: int) -> tf.Tensor:
    """Decode one JPEG (or PNG) as the worker's Pillow does: string[] -> uint8[side, side, 3].

    Plain JPEG, that is: the worker sends what Pillow reads differently (CMYK, transparency, 16 bits) as plain PNG.
    INTEGER_ACCURATE equals Pillow bit for bit; TensorFlow's default differs on every picture. Both sides resize
    with a triangle filter as wide as the reduction, which agrees to one level in 255.
    """
    pixels = tf.io.decode_jpeg(picture, channels=3, dct_method="INTEGER_ACCURATE")

    def resized() -> tf.Tensor:
        smooth = tf.image.resize(pixels, (side, side), antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(smooth), 0, 255), tf.uint8)

    fits = tf.reduce_all(tf.equal(tf.shape(pixels)[:2], side))
    return tf.ensure_shape(tf.cond(fits, lambda: pixels, resized), (side, side, 3))


def decode_all(pictures: tf.Tensor, side: int) -> tf.Tensor:
    """Decode string[N] -> uint8[N, side, side, 3], on the CPU wherever the rest runs."""
    with tf.device("/CPU:0"):
        spec = tf.TensorSpec((side, side, 3), tf.uint8)
        return tf.map_fn(lambda picture: decode(picture, side), pictures, fn_output_signature=spec)


class Classifier(tf.Module):
    """A network with its categories, answering the two signatures of worker.contract.signature."""

    def __init__(
        self,
        network: keras.Model,
        classes: Sequence[int],
        taxonomy: Taxonomy,
        side: int,
        top_k: int = 10,
        temperature: float = 1.0,
    ):
        """Wrap `network` (float32[N, side, side, 3] in 0..255 -> float32[N, len(classes)] logits).

        `classes` are the category ids of the logits, all of one level of `taxonomy`.
        """
        super().__init__(name="shelver")
        # Keras keeps each variable in a wrapper of its own. TensorFlow Serving restores what the module tracks, and a
        # tracked wrapper would be restored beside the variable that the graph reads: so track the bare ones, and keep
        # the network out of sight.
        self.variables_to_restore = [variable.value for variable in network.variables]
        self._network = lambda pixels: network(pixels, training=False)
        self.side = side
        self.top_k = top_k
        self.temperature = temperature
        self._levels = {level: _roll_up(classes, taxonomy, level) for level in PREFIXES}

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Return the concrete functions to export, by signature name."""
        functions = {
            Signature.PIXELS: tf.function(self.__call__),
            Signature.JPEG: tf.function(
                lambda jpeg, product, picture: self(decode_all(jpeg, self.side), product, picture)
            ),
        }
        return {
            kind.value: function.get_concrete_function(**_specs(kind, self.side))
            for kind, function in functions.items()
        }

    def __call__(self, pixels: tf.Tensor, product: tf.Tensor, picture: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answer uint8[N, side, side, 3], int64[N], int32[N] with a row for every input row."""
        return self.answer(self.logits(pixels), product, picture, self.temperature)

    def logits(self, pixels: tf.Tensor) -> tf.Tensor:
        """Return the network's float32[N, C] for uint8[N, side, side, 3]."""
        return tf.cast(self._network(tf.cast(pixels, tf.float32)), tf.float32)

    def answer(
        self, logits: tf.Tensor, product: tf.Tensor, picture: tf.Tensor, temperature: float | tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Answer float32[N, C], int64[N], int32[N] at a temperature, so that one pass of the network serves several."""
        scores = tf.nn.softmax(logits / temperature)
        mean, counted, owner = mean_by_product(scores, product, picture)
        outputs = {"pictures": tf.gather(counted, owner)}
        for level, prefix in PREFIXES.items():
            ids, ancestor = self._levels[level]
            # Summed over the class axis: a category's score is that of all the classes below it.
            level_scores = tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(mean), ancestor, len(ids)))
            top = tf.math.top_k(level_scores, min(self.top_k, len(ids)))
            outputs[f"{prefix}category"] = tf.gather(tf.gather(ids, top.indices), owner)
            outputs[f"{prefix}score"] = tf.gather(top.values, owner)
        return outputs


def mean_by_product(
    scores: tf.Tensor, product: tf.Tensor, picture: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Average float32[N, C] over each product's distinct pictures.

    Returns float32[P, C] for P products, int32[P] pictures averaged, and int32[N] the product of each row. Sums
    go by segment, never over the whole batch, so that no row of another request can leak into an answer.
    """
    products, owner = tf.unique(product)
    count = tf.size(products)
    key = tf.cast(owner, tf.int64) * 2**32 + tf.cast(picture, tf.int64)
    pairs, pair = tf.unique(key)
    rows = tf.range(tf.size(product))
    first_row = tf.math.unsorted_segment_min(rows, pair, tf.size(pairs))
    first = tf.cast(tf.equal(rows, tf.gather(first_row, pair)), tf.float32)  # 1 where the pair is met first
    counted = tf.math.unsorted_segment_sum(first, owner, count)
    # Chosen, not multiplied by 0: a row that does not count must not spread a NaN either.
    chosen = tf.where(first[:, tf.newaxis] > 0, scores, tf.zeros_like(scores))
    mean = tf.math.unsorted_segment_sum(chosen, owner, count) / counted[:, tf.newaxis]
    return mean, tf.cast(counted, tf.int32), owner


def _roll_up(classes: Sequence[int], taxonomy: Taxonomy, level: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the categories of a level above the classes, int64[L], and each class's place among them, int32[C]."""
    ancestors = [taxonomy.ancestor(each, level) for each in classes]
    ids, place = np.unique(np.array(ancestors, np.int64), return_inverse=True)
    return tf.constant(ids), tf.constant(place.astype(np.int32))


def _specs(kind: Signature, side: int) -> dict[str, tf.TensorSpec]:
    return {
        name: tf.TensorSpec(tensor.shape, DTYPES[tensor.dtype], name)
        for name, tensor in signature.inputs(kind, side).items()
    }

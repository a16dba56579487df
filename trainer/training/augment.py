"""Change pictures as they are trained on, by a seed of step and device: a resumed run sees the same."""

import math

import tensorflow as tf

from trainer.config import Augmentation


def augment(pixels: tf.Tensor, how: Augmentation, seed: tf.Tensor) -> tf.Tensor:
    """Return float32[N, S, S, 3] in 0..255 changed picture by picture; `seed` is int32[2]."""
    draw = _Draw(seed, tf.shape(pixels)[0])
    if how.flip:
        mirrored = draw.uniform(0, 1)[:, None, None, None] < 0.5
        pixels = tf.where(mirrored, pixels[:, :, ::-1], pixels)
    if how.rotation_degrees or how.shear or how.zoom:
        pixels = _moved(pixels, how, draw)
    if how.colour:
        pixels = _coloured(pixels, how.colour, draw)
    return pixels


class _Draw:
    """Random numbers, float32[N] at a time, each drawing from a seed of its own."""

    def __init__(self, seed: tf.Tensor, count: tf.Tensor):
        self._seed, self._count, self._drawn = seed, count, 0

    def uniform(self, low: float, high: float) -> tf.Tensor:
        self._drawn += 1
        seed = tf.random.experimental.stateless_fold_in(self._seed, self._drawn)
        return tf.random.stateless_uniform((self._count,), seed, low, high)


def _moved(pixels: tf.Tensor, how: Augmentation, draw: _Draw) -> tf.Tensor:
    """Turn, slant and scale about the middle; what comes in at the edges is the nearest pixel."""
    side = tf.cast(tf.shape(pixels)[1], tf.float32)
    angle = draw.uniform(-1, 1) * how.rotation_degrees * math.pi / 180
    slant = draw.uniform(-1, 1) * how.shear
    scale = 1 / (1 + draw.uniform(-1, 1) * how.zoom)
    cosine, sine = tf.cos(angle) * scale, tf.sin(angle) * scale
    # Rows of the matrix that takes a place in the result to a place in the picture: rotation x shear.
    a, b = cosine, cosine * slant - sine
    c, d = sine, sine * slant + cosine
    middle = (side - 1) / 2
    zero = tf.zeros_like(a)
    matrix = tf.stack(
        [a, b, middle - (a + b) * middle, c, d, middle - (c + d) * middle, zero, zero], axis=1
    )  # float32[N, 8], as ImageProjectiveTransformV3 takes it
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels,
        transforms=matrix,
        output_shape=tf.shape(pixels)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def _coloured(pixels: tf.Tensor, strength: float, draw: _Draw) -> tf.Tensor:
    brightness, contrast, saturation = (1 + strength * draw.uniform(-1, 1)[:, None, None, None] for _ in range(3))
    pixels *= brightness
    pixels = (pixels - (mean := tf.reduce_mean(pixels, axis=(1, 2, 3), keepdims=True))) * contrast + mean
    grey = tf.reduce_mean(pixels, axis=3, keepdims=True)
    return tf.clip_by_value((pixels - grey) * saturation + grey, 0, 255)

"""Prepared data as TensorFlow takes it: shards -> pictures -> pixels, the same order for the same seed.

Up to the shuffle a picture is a few kilobytes of JPEG, so memory does not grow with the data; it is decoded last.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from trainer.data import Data, Split
from trainer.graph import decode

logger = logging.getLogger("trainer")

FEATURES = {
    "class": tf.io.FixedLenFeature((), tf.int64),
    "product": tf.io.FixedLenFeature((), tf.int64),
    "pictures": tf.io.VarLenFeature(tf.string),
}
#: pictures that are permuted at a time, ~4.7 KB each; some three times as many are in memory
SHUFFLED = 2**12
#: shards that are read in turns; those of a split are a stretch of the dump each
INTERLEAVED = 8
READ_BYTES = 2**18
#: products parsed at a time
PARSED = 64


@dataclass(frozen=True)
class Share:
    """What one process of several reads: every count-th picture."""

    count: int = 1
    index: int = 0


def training(data: Data, side: int, seed: int, epoch: int, share: Share = Share(), skip: int = 0) -> tf.data.Dataset:
    """Return (uint8[side, side, 3], int32 class) of every training picture once, in the order of (seed, epoch).

    `skip` leaves out that many of the first pictures of this share, undecoded: for going on in mid-epoch. A picture
    that TensorFlow does not decode is left out.
    """
    encoded = _shuffled(data.splits["train"], ("picture", "class"), seed + epoch)
    if share.count > 1:
        encoded = encoded.shard(share.count, share.index)
    return decoded(encoded.skip(skip) if skip else encoded, side)


def pictures(split: Split, fields: tuple[str, ...]) -> tf.data.Dataset:
    """Return fields of every picture of a split: picture string, product int64, class int32, place int32 among its own.

    In the order of the shards.
    """
    return _parsed(split.shards, fields, at_a_time=1).unbatch()


def _shuffled(split: Split, fields: tuple[str, ...], seed: int) -> tf.data.Dataset:
    """Return fields of every picture of a split: shards in any order, read in turns, and SHUFFLED pictures permuted."""
    order = np.random.default_rng(seed).permutation(len(split.shards))
    batches = _parsed([split.shards[place] for place in order], fields, at_a_time=INTERLEAVED).rebatch(SHUFFLED)

    def permuted(number: tf.Tensor, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        places = tf.random.experimental.stateless_shuffle(tf.range(tf.shape(batch[0])[0]), seed=(seed % 2**31, number))
        return tuple(tf.gather(field, places) for field in batch)

    return batches.enumerate().map(permuted).prefetch(1).unbatch()


def _parsed(shards: Sequence[Path], fields: tuple[str, ...], at_a_time: int) -> tf.data.Dataset:
    # In batches as far as possible: every step costs each element some microseconds, as much as half its decoding.
    files = tf.data.Dataset.from_tensor_slices(tf.constant([str(shard) for shard in shards], tf.string))
    batches = files.interleave(
        lambda file: tf.data.TFRecordDataset(file, buffer_size=READ_BYTES).batch(PARSED),
        cycle_length=at_a_time,
    )
    return batches.map(lambda batch: _parse(batch, fields))


def _parse(records: tf.Tensor, fields: tuple[str, ...]) -> tuple[tf.Tensor, ...]:
    """Turn string[B] of products into fields of their pictures, [P] each."""
    parsed = tf.io.parse_example(records, FEATURES)
    places = parsed["pictures"].indices  # int64[P, 2]: product of the batch, picture of the product
    owners = places[:, 0]
    rows = {
        "picture": parsed["pictures"].values,
        "product": tf.gather(parsed["product"], owners),
        "class": tf.cast(tf.gather(parsed["class"], owners), tf.int32),
        "place": tf.cast(places[:, 1], tf.int32),
    }
    return tuple(rows[field] for field in fields)


def decoded(encoded: tf.data.Dataset, side: int) -> tf.data.Dataset:
    """Decode the first component, string -> uint8[side, side, 3], in order; what does not decode is left out."""
    options = tf.data.Options()
    options.autotune.enabled = False  # searching for a better parallelism than a picture a core takes 4 % of two cores
    return (
        encoded.map(
            lambda picture, *rest: (decode(picture, side), *rest), num_parallel_calls=os.cpu_count(), deterministic=True
        )
        .ignore_errors()
        .with_options(options)
    )


@dataclass(frozen=True)
class Batch:
    """Pictures of whole products, those of a product adjacent and in order."""

    pixels: np.ndarray  # uint8[N, side, side, 3]
    product: np.ndarray  # int64[N]
    picture: np.ndarray  # int32[N]
    label: np.ndarray  # int32[N], place among the classes


def product_batches(data: Data, split: str, side: int, size: int = 64) -> Iterator[Batch]:
    """Yield the pictures of a split in batches of about `size`, no product cut in two.

    Pictures that TensorFlow does not decode are left out, and counted in a warning.
    """
    chosen = data.splits[split]
    encoded = pictures(chosen, ("picture", "product", "place", "class"))
    rows = decoded(encoded, side).batch(size).prefetch(2)
    held: list[np.ndarray] = []
    seen = 0
    for batch in rows.as_numpy_iterator():
        seen += len(batch[0])
        joined = [np.concatenate(pair) for pair in zip(held, batch, strict=True)] if held else list(batch)
        others = np.flatnonzero(joined[1] != joined[1][-1])
        cut = int(others[-1]) + 1 if len(others) else 0  # the last product may go on in the next batch
        if cut:
            yield Batch(*(each[:cut] for each in joined))
        held = [each[cut:] for each in joined]
    if held:
        yield Batch(*held)
    if missing := chosen.pictures - seen:
        logger.warning("%d pictures of the %s split do not decode in TensorFlow and are left out", missing, split)

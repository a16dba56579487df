"""Train a softmax head on a frozen EfficientNet-Lite0: a first model from a dump within a minute or a few.

On pictures unlike ImageNet it is a floor, not a ceiling; its use is to have the whole line running.
"""

import logging
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from trainer import features, lite0
from trainer.run import MODEL, Run, RunError
from trainer.samples import Census, Reading, labelled, take_census
from worker.contract.taxonomy import Taxonomy

logger = logging.getLogger("trainer")

#: the dump's own size; other pictures are resized to it
PICTURE_SIDE = 180
#: the size Lite0's weights were trained at: 2 to 5 points better than 180 on photos, a fifth slower
NETWORK_SIDE = 224


@dataclass(frozen=True)
class Recipe:
    """What can be chosen about a fit."""

    seed: int = 1
    #: share of the products, by picture group, that is not trained on
    held_out: float = 0.1
    epochs: int = 40
    batch: int = 64
    learning_rate: float = 1e-3
    #: of the features; without it the head learns small sets by heart
    dropout: float = 0.5
    weights: Path | None = None


def fit(
    dump: Path, categories: Path, folder: Path, recipe: Recipe, track: Callable[[str, int], Callable[[int], None]]
) -> tuple[Run, Reading]:
    """Train on `dump` and write a run; `track(what, total)` gives what to call with the progress made.

    Returns the run and what was left out of the dump, its damage included. Raises RunError when the folder is
    taken, TaxonomyError, SamplesError, WeightsError.
    """
    if folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder} is not empty: choose another --run or remove it")
    taxonomy = Taxonomy.from_csv(categories)
    keras.utils.set_random_seed(recipe.seed)
    census = take_census(dump, taxonomy, recipe.held_out, recipe.seed)
    logger.info(
        "%d products, %d pictures, %d categories; %d products held out",
        *(census.products, census.pictures, len(census.classes), len(census.held_out)),
    )
    backbone = _at_picture_size(lite0.build(NETWORK_SIDE, recipe.weights))
    advance = track("reading pictures", census.pictures)
    pixels = features.decoded(_training_pictures(dump, census, advance), PICTURE_SIDE, census.undecodable)
    values, labels = features.extract(backbone, pixels, advance)
    head = _train_head(values, np.searchsorted(census.classes, labels), len(census.classes), recipe, track)
    run = _describe(dump, folder, recipe, census)
    folder.mkdir(parents=True, exist_ok=True)
    run.keep_categories(categories)
    keras.Model(backbone.input, head(backbone.output), name="lite0_head").save(folder / MODEL)
    run.write()  # last: without it the folder is no run
    return run, census.reading


def _training_pictures(dump: Path, census: Census, advance: Callable[[int], None]) -> Iterator[tuple[int, int, bytes]]:
    for product, category, pictures in labelled(dump, Reading()):
        if product.id in census.held_out:
            advance(len(pictures))
            continue
        for picture in pictures:
            yield product.id, category, picture


def _at_picture_size(backbone: keras.Model) -> keras.Model:
    """Let the backbone take pictures of the dump's size."""
    inputs = keras.Input((PICTURE_SIDE, PICTURE_SIDE, 3), name="pixels")
    return keras.Model(inputs, backbone(layers.Resizing(NETWORK_SIDE, NETWORK_SIDE)(inputs)))


def _train_head(
    values: np.ndarray,
    labels: np.ndarray,
    classes: int,
    recipe: Recipe,
    track: Callable[[str, int], Callable[[int], None]],
) -> keras.Model:
    """Return float32[N, F] -> float32[N, classes] logits, trained with AdamW and a cosine to zero."""
    inputs = keras.Input(values.shape[1:])
    normalised = layers.Normalization(mean=values.mean(0), variance=values.var(0) + 1e-6)(inputs)
    dense = layers.Dense(classes)
    head = keras.Model(inputs, dense(layers.Dropout(recipe.dropout, seed=recipe.seed)(normalised)))
    steps = -(-len(values) // recipe.batch) * recipe.epochs
    head.compile(
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps), weight_decay=0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    advance = track("training the head", recipe.epochs)
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: advance(1))
    head.fit(values, labels, recipe.batch, recipe.epochs, verbose=0, callbacks=[told])
    return keras.Model(inputs, dense(normalised))  # dropout was for training: its random state has no place in a graph


def _describe(dump: Path, folder: Path, recipe: Recipe, census: Census) -> Run:
    left_out = {f"left out: {reason}": count for reason, count in sorted(census.reading.left_out.items())}
    return Run(
        folder=folder,
        dump=str(dump.resolve()),
        backbone="efficientnet-lite0, frozen, ImageNet",
        seed=recipe.seed,
        classes=census.classes,
        picture_side=PICTURE_SIDE,
        held_out=sorted(census.held_out),
        counts={"products": census.products, "pictures": census.pictures, **left_out},
        versions={"tensorflow": tf.__version__, "keras": keras.__version__, "python": platform.python_version()},
    )

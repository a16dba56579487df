"""make bench-configs: pictures a second that each config trains, on this machine, with untrained weights.

Between them the ratios count: what takes an hour for one config takes so many hours for another.
"""

import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from tests.benchmarks import dumps
from tests.benchmarks.goals import report
from trainer.config import Config, load, names
from trainer.data import Data
from trainer.index import build as index
from trainer.prepare.outline import outline
from trainer.prepare.prepare import prepare
from trainer.prepare.selection import Recipe
from trainer.training.devices import share_of
from trainer.training.network import build, choose_trainable
from trainer.training.sources import Pictures
from trainer.training.steps import optimiser_of, training_step

PAGE = Path(__file__).parents[2] / "docs" / "configs.json"
DUMP_BYTES = 6e6
#: at most so many pictures a step: more would not be faster here
BATCH = 32
STEPS = 3


def rate(config: Config, data: Data) -> float:
    """Return pictures/s of the config's last phase, decoding and augmentation included."""
    keras.mixed_precision.set_global_policy("float32")  # 16 bits are for GPUs
    config = config.model_copy(update={"weights": "none", "batch": min(config.batch, BATCH)})
    phase, strategy = config.phases[-1], tf.distribute.get_strategy()
    network = build(config, len(data.classes))
    choose_trainable(network, config, phase)
    source = Pictures(data, config.picture_side, 1, share_of(strategy))
    optimiser = optimiser_of(config, phase, STEPS)
    weights = np.ones(len(data.classes), np.float32)
    step = training_step(network.whole, optimiser, config, weights, strategy, pictures=True)
    start = 0.0
    for number, batch in enumerate(source.training(strategy, config.batch, 0, 0).take(STEPS + 1)):
        step(*batch, tf.constant(number, tf.int64)).numpy()
        start = start or time.perf_counter()  # the first traces the graph
    return STEPS * config.batch / (time.perf_counter() - start)


def main() -> None:
    """Measure and tell."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="shelver-bench-") as folder:
        dump, categories = dumps.draw(Path(folder), DUMP_BYTES)
        data = prepare(outline(index(dump), categories, Recipe(level=2, minimum=1)), Path(folder) / "data")
        for name in names():
            found[name] = rate(load(name).config, data)
            keras.backend.clear_session()
            print(f"{name:24} {found[name]:7.1f} pictures/s", flush=True)
    report([], {"pictures_per_second": found}, PAGE)


if __name__ == "__main__":
    main()

"""The case study's baseline CNN with class weights at level 3.

    shelver-trainer prepare train.bson --categories category_names.csv -o data/million --config baseline_cnn_weighted
    shelver-trainer fit baseline_cnn_weighted data/million --run runs/baseline_cnn_weighted

As baseline_cnn, with rare classes weighing up to ten times as much as the mean class and common ones down to a
tenth. The study reports 0 %: it put unbounded weights on a model that was already trained. Here they are clipped,
and the model is fresh.

Time: 28 pictures/s on two cores (make bench-configs), 8 hours an epoch of about 800,000 pictures: train it on a
GPU.
"""

from trainer.config import Config, Phase
from trainer.prepare.selection import Recipe

CONFIG = Config(
    data=Recipe(level=3, sample=1_000_000, minimum=2, pictures="first"),
    backbone="baseline_cnn",
    weights="none",
    optimiser="adam",
    batch=16,
    class_weights=10,
    phases=(Phase(epochs=20, learning_rate=1e-3, schedule="constant"),),
    patience=3,
)

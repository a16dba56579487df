"""The case study's baseline CNN at level 3: 1 M first pictures, every category with at least 2 products.

    shelver-trainer prepare train.bson --categories category_names.csv -o data/million --config baseline_cnn
    shelver-trainer fit baseline_cnn data/million --run runs/baseline_cnn

A first network, from nothing: four convolutions and a dense layer on 180 pixels, Adam, 16 pictures a step. The
study's test accuracy over 5,070 categories was 44.82 %.

Time: 38 pictures/s on two cores (make bench-configs), 6 hours an epoch of about 800,000 pictures: train it on a
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
    phases=(Phase(epochs=20, learning_rate=1e-3, schedule="constant"),),
    patience=3,
)

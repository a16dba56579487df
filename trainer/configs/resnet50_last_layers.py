"""The case study's ResNet50 at level 3, its last layers tuned.

    shelver-trainer prepare train.bson --categories category_names.csv -o data/million --config resnet50_last_layers
    shelver-trainer fit resnet50_last_layers data/million --run runs/resnet50_last_layers

ImageNet weights; the head and the last stage (32 layers) are trained. The study's test accuracy was 26.02 %,
without the preprocessing that the weights were trained with; here that is part of the network.

Time: 13 pictures/s on two cores (make bench-configs), 17 hours an epoch of about 800,000 pictures: train it on a
GPU.
"""

from trainer.config import Config, Phase
from trainer.prepare.selection import Recipe

CONFIG = Config(
    data=Recipe(level=3, sample=1_000_000, minimum=2, pictures="first"),
    backbone="resnet50",
    batch=64,
    phases=(Phase(epochs=10, learning_rate=3e-4, train=32, warm_up_epochs=0.5),),
    patience=3,
)

"""The case study's ResNet50 at level 3, all layers tuned.

    shelver-trainer prepare train.bson --categories category_names.csv -o data/million --config resnet50
    shelver-trainer fit resnet50 data/million --run runs/resnet50

ImageNet weights, learning rate 3e-4 with a warm-up and a cosine in place of a constant. The study took about 5
hours an epoch; its test accuracy was 54.90 %.

Time: 3 pictures/s on two cores (make bench-configs), 66 hours an epoch of about 800,000 pictures: train it on a
GPU.
"""

from trainer.config import Config, Phase
from trainer.prepare.selection import Recipe

CONFIG = Config(
    data=Recipe(level=3, sample=1_000_000, minimum=2, pictures="first"),
    backbone="resnet50",
    train_statistics=True,
    batch=64,
    phases=(Phase(epochs=10, learning_rate=3e-4, warm_up_epochs=0.5),),
    patience=3,
)

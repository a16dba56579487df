"""The case study's VGG-19 at level 2, all layers tuned.

    shelver-trainer prepare train.bson --categories category_names.csv -o data/balanced --config vgg19
    shelver-trainer fit vgg19 data/balanced --run runs/vgg19

Categories of level 2 with at least 1,000 pictures, 1,000 each (178 in the study), 128 pixels, flips, rotation to 40
degrees, shear to 0.3, at most 20 epochs. The study's test accuracy was 50.21 %, on the split that also stopped its
training; here the test split only scores.

Time: 6 pictures/s on two cores (make bench-configs), 7 hours an epoch of about 142,000 pictures: train it on a GPU.
"""

from trainer.config import Augmentation, Config, Phase
from trainer.prepare.selection import Recipe

CONFIG = Config(
    data=Recipe(level=2, sample=1_000_000, minimum=1000, cap=1000, pictures="first"),
    backbone="vgg19",
    picture_side=128,
    augmentation=Augmentation(flip=True, rotation_degrees=40, shear=0.3),
    optimiser="adam",
    epsilon=0.1,
    batch=32,
    phases=(Phase(epochs=20, learning_rate=1e-3, schedule="constant"),),
    patience=3,
)

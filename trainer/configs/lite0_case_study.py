"""The case study's recipe on EfficientNet-Lite0: what it would have scored on small data, with packaged weights.

    shelver-trainer prepare train.bson --categories category_names.csv -o data/all --config lite0_case_study
    shelver-trainer fit lite0_case_study data/all --run runs/lite0_case_study

As inception_v3, the best of its table (128 pixels, all layers tuned, flips, rotation to 40 degrees, shear to 0.3,
Adam with learning rate 1e-3 and epsilon 0.1), but at level 3, on any data, and with weights that need no network.
docs/trainer.md has its score beside lite0_head and lite0_layers.
"""

from trainer.config import Augmentation, Config, Phase

CONFIG = Config(
    backbone="efficientnet_lite0",
    picture_side=128,
    train_statistics=True,
    augmentation=Augmentation(flip=True, rotation_degrees=40, shear=0.3),
    optimiser="adam",
    epsilon=0.1,
    batch=32,
    phases=(Phase(epochs=20, learning_rate=1e-3, schedule="constant"),),
)

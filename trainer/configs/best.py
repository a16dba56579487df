"""The best recipe: everything, level 3, a modern backbone, and every picture of a product.

    shelver-trainer prepare train.bson --categories category_names.csv -o data/all --config best
    shelver-trainer fit best data/all --run runs/best

EfficientNetV2-S with ImageNet weights on all 12 million pictures: the head first, then everything with NAdam, a
warm-up and a cosine, label smoothing 0.1, flips alone, no dropout, 16-bit floats; a product's answer is the mean
over its pictures, inside the exported graph. Single networks of that kind reached 0.70 to 0.77 in the competition;
not run here, where there is no GPU. Small data wants lite0_layers.

Time: 7 pictures/s on two cores (make bench-configs), 20 days an epoch of about 11,500,000 pictures: train it on a
GPU.
"""

from trainer.config import Augmentation, Config, Phase
from trainer.prepare.selection import Recipe

CONFIG = Config(
    data=Recipe(level=3, validation=0.02, test=0.05),
    backbone="efficientnet_v2_s",
    train_statistics=True,
    augmentation=Augmentation(flip=True),
    label_smoothing=0.1,
    optimiser="nadam",
    batch=256,
    precision="mixed_bfloat16",
    phases=(
        Phase(epochs=1, learning_rate=1e-3, train="head", warm_up_epochs=0.1),
        Phase(epochs=8, learning_rate=5e-4, warm_up_epochs=0.2),
    ),
)

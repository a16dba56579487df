"""The best for small data: a head on five layers of a frozen EfficientNet-Lite0 with packaged ImageNet weights.

    shelver-trainer prepare train.bson --categories category_names.csv -o data/all --config lite0_layers
    shelver-trainer fit lite0_layers data/all --run runs/lite0_layers

Any data, any classes; nothing is downloaded. As lite0_head, but the head also sees layers on the way to the last one
(Evci et al., "Head2Toe", 2022): where pictures are unlike ImageNet, that is worth more than tuning the network on a
thousand of them. docs/trainer.md has its score beside lite0_head and the case study's recipe. 19 KB of features a
picture on disk, for the time of the fit.
"""

from trainer.config import Augmentation, Config, Phase

CONFIG = Config(
    backbone="efficientnet_lite0_layers",
    network_side=224,
    normalise_features=True,
    dropout=0.5,
    augmentation=Augmentation(flip=True),
    optimiser="adamw",
    weight_decay=0.01,
    phases=(Phase(epochs=40, learning_rate=1e-3, train="head", cached=True),),
)

"""EfficientNet-Lite0 with packaged ImageNet weights, frozen, under a softmax head: a first model within a minute.

    shelver-trainer prepare train.bson --categories category_names.csv -o data/all --config lite0_head
    shelver-trainer fit lite0_head data/all --run runs/lite0_head

Any data, any classes; nothing is downloaded. The backbone sees each picture and its mirror image once (about 60
pictures/s on two cores), and the head is trained on the features it left on disk: 10 KB a picture. On pictures unlike
ImageNet it is a floor, not a ceiling. 224 pixels, the size of the weights, is 2 to 5 points better than 180.
"""

from trainer.config import Augmentation, Config, Phase

CONFIG = Config(
    backbone="efficientnet_lite0",
    network_side=224,
    normalise_features=True,
    dropout=0.5,
    augmentation=Augmentation(flip=True),
    optimiser="adamw",
    weight_decay=0.01,
    phases=(Phase(epochs=40, learning_rate=1e-3, train="head", cached=True),),
)

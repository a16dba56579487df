"""The networks a config can name: each takes pixels in 0..255 and does its own preprocessing.

The weights of keras.applications are fetched by Keras at the first use; give a file where there is no network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
from keras import layers

from trainer.backbones import lite0
from trainer.backbones.weights import WeightsError

IMAGENET, NONE = "imagenet", "none"
#: means of ImageNet's training pictures, blue, green, red (Simonyan & Zisserman, 2014)
CAFFE_MEANS = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class Backbone:
    """How a backbone is made."""

    #: float32[N, side, side, 3] in 0..255 -> what the network was trained on
    preprocess: Callable
    #: (input, weights) -> features, average-pooled
    build: Callable


def _as_they_are(pixels):
    return pixels


def _caffe(pixels):
    """Blue, green, red, each less its mean."""
    return pixels[..., ::-1] - keras.ops.reshape(keras.ops.array(CAFFE_MEANS, "float32"), (1, 1, 1, 3))


def _signed(pixels):
    return layers.Rescaling(1 / 127.5, offset=-1)(pixels)


def _application(name: str, **options: object) -> Callable:
    def make(side: int, weights: str) -> keras.Model:
        maker = getattr(keras.applications, name)
        try:
            return maker(
                include_top=False,
                weights=IMAGENET if weights == IMAGENET else None,
                input_shape=(side, side, 3),
                pooling="avg",
                **options,
            )
        except ValueError as error:
            raise WeightsError(f"{name} cannot be made for {side} pixels a side: {error}") from error
        except Exception as error:  # Keras raises a bare Exception where it cannot fetch
            if weights != IMAGENET:
                raise
            raise WeightsError(
                f"the ImageNet weights of {name} cannot be fetched ({error}): give a file with --weights, or none"
            ) from error

    return make


def _lite0(layered: bool) -> Callable:
    """Packaged weights; a file is a legacy PyTorch checkpoint."""

    def make(side: int, weights: str) -> keras.Model:
        file = None if weights in (IMAGENET, NONE) else Path(weights)
        return lite0.build(side, file, empty=weights == NONE, layered=layered)

    return make


def _baseline_cnn(side: int, weights: str) -> keras.Model:
    """Four convolutions with pooling and a dense layer, as a first network is drawn."""
    if weights == IMAGENET:
        raise WeightsError("baseline_cnn has no ImageNet weights: use none")
    inputs = keras.Input((side, side, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    for channels in (32, 64, 128, 128):
        x = layers.Conv2D(channels, 3, activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(512, activation="relu")(x), name="baseline_cnn")


BACKBONES = {
    "baseline_cnn": Backbone(_as_they_are, _baseline_cnn),
    "efficientnet_lite0": Backbone(_as_they_are, _lite0(layered=False)),
    "efficientnet_lite0_layers": Backbone(_as_they_are, _lite0(layered=True)),
    "efficientnet_v2_s": Backbone(_as_they_are, _application("EfficientNetV2S")),
    "convnext_tiny": Backbone(_as_they_are, _application("ConvNeXtTiny")),
    "inception_v3": Backbone(_signed, _application("InceptionV3")),
    "resnet50": Backbone(_caffe, _application("ResNet50")),
    "vgg16": Backbone(_caffe, _application("VGG16")),
    "vgg19": Backbone(_caffe, _application("VGG19")),
}
#: those that read a weights file by themselves
OWN_FORMAT = ("efficientnet_lite0", "efficientnet_lite0_layers")


def build(name: str, side: int, weights: str) -> keras.Model:
    """Return float32[N, side, side, 3] in 0..255 -> float32[N, F]; `weights` is imagenet, none or a file.

    Raises WeightsError when the file is of another network or cannot be read, or ImageNet's cannot be fetched.
    """
    if name not in BACKBONES:
        raise WeightsError(f"{name!r} is no backbone: choose one of {', '.join(BACKBONES)}")
    if weights not in (IMAGENET, NONE) and not Path(weights).is_file():
        raise WeightsError(f"{weights} is no file of weights: name one, or imagenet, or none")
    backbone = BACKBONES[name]
    network = backbone.build(side, weights)
    if weights not in (IMAGENET, NONE) and name not in OWN_FORMAT:
        _load(network, name, weights)
    inputs = keras.Input((side, side, 3), name="pixels")
    return keras.Model(inputs, network(backbone.preprocess(inputs)), name=name)


def _load(network: keras.Model, name: str, weights: str) -> None:
    try:
        network.load_weights(weights)
    except Exception as error:  # h5py and Keras raise many kinds
        first_line = str(error).strip().splitlines()[0]
        raise WeightsError(f"{weights} holds no weights of {name} without its top: {first_line}") from error

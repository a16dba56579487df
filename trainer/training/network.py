"""Put a backbone and a head together, and say which parts of them are trained."""

from dataclasses import dataclass
from pathlib import Path

import keras
from keras import layers

from trainer.backbones import build as backbones
from trainer.config import Config, Phase


@dataclass(frozen=True)
class Network:
    """One set of weights, seen in four ways."""

    #: float32[N, side, side, 3] in 0..255 -> float32[N, classes] logits
    whole: keras.Model
    #: float32[N, side, side, 3] -> float32[N, F]
    backbone: keras.Model
    #: float32[N, F] -> logits, with the dropout that is for training
    head: keras.Model
    #: what is exported: as `whole`, without dropout, whose random state has no place in a graph
    served: keras.Model

    @property
    def trained_layers(self) -> list[keras.Layer]:
        """The layers of the backbone itself, within resizing and preprocessing."""
        return self.backbone.layers[-1].layers[-1].layers


def build(config: Config, classes: int) -> Network:
    """Return a network with the config's weights; raises WeightsError."""
    side = config.picture_side
    inside = config.network_side or side
    inputs = keras.Input((side, side, 3), name="pixels")
    resized = layers.Resizing(inside, inside)(inputs) if inside != side else inputs
    features = backbones.build(config.backbone, inside, config.weights)(resized)
    backbone = keras.Model(inputs, features, name="backbone")
    normalise = layers.BatchNormalization(momentum=0.9, name="normalise") if config.normalise_features else None
    dropout = layers.Dropout(config.dropout, seed=config.seed) if config.dropout else None
    # Softmax over thousands of classes wants 32 bits, whatever the layers before it compute in.
    dense = layers.Dense(classes, dtype="float32", name="logits")

    def head(values, *steps):
        for step in (*steps, dense):
            values = step(values) if step else values
        return values

    head_inputs = keras.Input(features.shape[1:])
    training_head = keras.Model(head_inputs, head(head_inputs, normalise, dropout), name="head")
    return Network(
        keras.Model(inputs, training_head(backbone(inputs)), name="whole"),
        backbone,
        training_head,
        keras.Model(inputs, head(backbone(inputs), normalise), name=config.backbone),
    )


def choose_trainable(network: Network, config: Config, phase: Phase) -> None:
    """Freeze what the phase does not train; batch normalisation follows the batches only where the config says so."""
    inner = network.trained_layers
    network.whole.trainable = True
    last = {"head": 0, "all": len(inner)}.get(phase.train, phase.train)
    first = max(0, len(inner) - int(last))
    for place, layer in enumerate(inner):
        kept = isinstance(layer, layers.BatchNormalization) and not config.train_statistics
        layer.trainable = place >= first and not kept


def save(network: Network, path: Path) -> None:
    """Write the network to serve, whole or not at all."""
    partial = path.with_name(f"part-{path.name}")
    network.served.save(partial)
    partial.replace(path)

"""One step of training and one of validation, as they run on every device."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from trainer.config import Config, Phase
from trainer.training.augment import augment

Step = Callable[..., tf.Tensor]


def optimiser_of(config: Config, phase: Phase, steps: int) -> keras.optimizers.Optimizer:
    """Return the phase's optimiser, `steps` being those of an epoch."""
    rate: float | keras.optimizers.schedules.LearningRateSchedule = phase.learning_rate
    if phase.schedule == "cosine":
        warm_up = round(phase.warm_up_epochs * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warm_up else phase.learning_rate,
            max(1, steps * phase.epochs - warm_up),
            warmup_target=phase.learning_rate if warm_up else None,
            warmup_steps=warm_up,
        )
    decay = config.weight_decay or None
    match config.optimiser:
        case "sgd":
            made = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=decay)
        case "adam":
            made = keras.optimizers.Adam(rate, epsilon=config.epsilon, weight_decay=decay)
        case "adamw":
            made = keras.optimizers.AdamW(rate, epsilon=config.epsilon, weight_decay=config.weight_decay)
        case "nadam":
            made = keras.optimizers.Nadam(rate, epsilon=config.epsilon, weight_decay=decay)
    return keras.optimizers.LossScaleOptimizer(made) if config.precision == "mixed_float16" else made


def class_weights(counts: list[int], limit: float | None) -> np.ndarray:
    """Return what each class's loss is multiplied by, float32[C]: mean count / own count within 1/limit .. limit."""
    if limit is None:
        return np.ones(len(counts), np.float32)
    sizes = np.maximum(np.array(counts, np.float64), 1)
    return np.clip(sizes.mean() / sizes, 1 / limit, limit).astype(np.float32)


def training_step(
    network: keras.Model,
    optimiser: keras.optimizers.Optimizer,
    config: Config,
    weights: np.ndarray,
    strategy: tf.distribute.Strategy,
    pictures: bool,
) -> Step:
    """Return step(examples, labels, number) -> float32[3]: loss and right answers summed, and examples."""
    variables = network.trainable_variables
    optimiser.build(variables)
    classes, smoothing = len(weights), config.label_smoothing

    def on_device(examples: tf.Tensor, labels: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        examples = tf.cast(examples, tf.float32)
        if pictures:
            device = tf.distribute.get_replica_context().replica_id_in_sync_group
            place = tf.cast(number, tf.int32) * strategy.num_replicas_in_sync + device
            examples = augment(examples, config.augmentation, tf.stack([config.seed, place]))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            logits = tf.cast(network(examples, training=True), tf.float32)
            targets = tf.one_hot(labels, classes) * (1 - smoothing) + smoothing / classes
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits) * tf.gather(weights, labels)
            # Devices sum their gradients: each gives its part of the mean over the whole batch.
            loss = tf.reduce_sum(losses) / config.batch
            loss = optimiser.scale_loss(loss)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimiser.apply(gradients, variables)
        return _sums(losses, logits, labels, tf.ones_like(losses))

    @tf.function(reduce_retracing=True)
    def step(examples: tf.Tensor, labels: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        sums = strategy.run(on_device, args=(examples, labels, number))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    return step


def validation_step(network: keras.Model, strategy: tf.distribute.Strategy) -> Step:
    """Return step(examples, labels, weights) -> float32[3]: loss and right answers summed, and examples."""

    def on_device(examples: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        logits = tf.cast(network(tf.cast(examples, tf.float32), training=False), tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return _sums(losses, logits, labels, weights)

    @tf.function(reduce_retracing=True)
    def step(examples: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        sums = strategy.run(on_device, args=(examples, labels, weights))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    return step


def _sums(losses: tf.Tensor, logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    right = tf.cast(tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels), tf.float32)
    return tf.stack([tf.reduce_sum(losses * weights), tf.reduce_sum(right * weights), tf.reduce_sum(weights)])

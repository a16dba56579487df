"""Train one phase, epoch by epoch, so that a kill at any moment changes nothing of what comes out."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from trainer.config import Config, Phase
from trainer.data import DataError
from trainer.training import checkpoint
from trainer.training.checkpoint import BEST, CHECKPOINT, Progress
from trainer.training.sources import Pictures, Source
from trainer.training.steps import Step, optimiser_of, training_step, validation_step

logger = logging.getLogger("trainer")

#: more than this share of the pictures is not a few that only Pillow decodes, but a damaged shard
MISSING_SHARE = 0.01
#: steps after which an epoch that takes long is kept half-way
CHECKPOINT_STEPS = 2000


class Reporter(Protocol):
    """Who is told how training goes."""

    def begin(self, phase: int, examples: int, done: int) -> None:
        """A phase of so many examples over all its epochs begins, or goes on after those done."""

    def advance(self, examples: int) -> None:
        """So many more were trained on."""

    def epoch(self, record: dict[str, Any]) -> None:
        """An epoch ended."""


@dataclass
class Loop:
    """What all phases share."""

    folder: Path
    config: Config
    strategy: tf.distribute.Strategy
    #: the whole network, whose variables are kept
    whole: keras.Model
    #: float32[C]
    class_weights: np.ndarray
    progress: Progress
    reporter: Reporter
    #: whether this process writes
    is_chief: bool = True
    log: Callable[[dict[str, Any]], None] = field(default=lambda record: None)

    def run(self, phase: Phase, network: keras.Model, source: Source) -> None:
        """Train `network`, a part of the whole or all of it, for what is left of the phase."""
        config, progress = self.config, self.progress
        steps = source.steps(config.batch, self.strategy.num_replicas_in_sync)
        with self.strategy.scope():
            optimiser = optimiser_of(config, phase, steps)
            train = training_step(
                network, optimiser, config, self.class_weights, self.strategy, isinstance(source, Pictures)
            )
            validate = validation_step(network, self.strategy)
        if self._is_kept(progress):
            checkpoint.restore(self.folder / CHECKPOINT, self.whole.variables, optimiser.variables)
        done = progress.epoch * source.examples + progress.step * config.batch
        self.reporter.begin(progress.phase, phase.epochs * source.examples, done)
        while progress.epoch < phase.epochs and not self._has_waited_enough():
            self._train_epoch(train, source, steps, optimiser)
            self._judge_epoch(validate, source, optimiser)
            self._keep(optimiser)
        progress.phase, progress.epoch, progress.waited = progress.phase + 1, 0, 0
        self._keep(None)

    def _is_kept(self, progress: Progress) -> bool:
        return bool(progress.epoch or progress.step)

    def _has_waited_enough(self) -> bool:
        return self.config.patience is not None and self.progress.waited >= self.config.patience

    def _train_epoch(self, train: Step, source: Source, steps: int, optimiser: keras.optimizers.Optimizer) -> None:
        config, progress = self.config, self.progress
        epoch = len(progress.history)  # of all phases: no two have the same order
        batches = source.training(self.strategy, config.batch, epoch, progress.step)
        sums = tf.constant(progress.sums, tf.float32)
        for batch in batches:
            if progress.step == steps:  # what is left does not fill a batch on every device
                break
            number = tf.constant(epoch * steps + progress.step, tf.int64)
            sums += train(*batch, number)
            progress.step += 1
            self.reporter.advance(min(config.batch, source.examples))
            if progress.step % CHECKPOINT_STEPS == 0:
                progress.sums = sums.numpy().tolist()
                self._keep(optimiser)
        progress.sums = sums.numpy().tolist()

    def _judge_epoch(self, validate: Step, source: Source, optimiser: keras.optimizers.Optimizer) -> None:
        progress = self.progress
        loss, right, examples = progress.sums
        _check_read(
            int(examples),
            min(
                source.steps(self.config.batch, self.strategy.num_replicas_in_sync) * self.config.batch, source.examples
            ),
            source.examples,
        )
        record = {
            "phase": progress.phase,
            "epoch": progress.epoch,
            "loss": loss / max(examples, 1),
            "accuracy": right / max(examples, 1),
            "learning_rate": float(optimiser.learning_rate),
        }
        if source.validation_examples:
            sums = np.zeros(3)
            for batch in source.validation(self.strategy, self.config.batch):
                sums += validate(*batch).numpy()
            record |= {"validation_loss": sums[0] / sums[2], "validation_accuracy": sums[1] / sums[2]}
        score = record.get("validation_accuracy", float(len(progress.history)))
        progress.waited += 1
        if progress.best is None or score > progress.best:
            progress.best, progress.waited = score, 0
            self._write(BEST, progress, self.whole.variables)
        progress.history.append(record)
        progress.epoch, progress.step, progress.sums = progress.epoch + 1, 0, [0.0, 0.0, 0.0]
        self.log(record)
        self.reporter.epoch(record)

    def _keep(self, optimiser: keras.optimizers.Optimizer | None) -> None:
        self._write(CHECKPOINT, self.progress, self.whole.variables, optimiser.variables if optimiser else [])

    def _write(self, name: str, progress: Progress, *groups: list[keras.Variable]) -> None:
        values = [[np.asarray(each) for each in group] for group in groups]  # every process reads, one writes
        if self.is_chief:
            checkpoint.save(self.folder / name, progress, *values)


def _check_read(read: int, expected: int, examples: int) -> None:
    """Tell of pictures that could not be read; raise DataError when they are too many to be single damaged ones."""
    if (missing := expected - read) <= 0:
        return
    if missing > examples * MISSING_SHARE:
        raise DataError(f"{missing:,} of {examples:,} training pictures cannot be read: prepare the data again")
    logger.warning("%d training pictures do not decode in TensorFlow and are left out", missing)

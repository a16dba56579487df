"""On what is trained: one device, all of this machine, or several machines (TF_CONFIG)."""

import json
import os
from enum import StrEnum

import tensorflow as tf

from trainer.config import Config
from trainer.feed import Share
from worker.contract.errors import ShelverError


class Devices(StrEnum):
    """How training is spread."""

    #: the first GPU, or the CPU
    ONE = "one"
    #: every GPU of this machine
    ALL = "all"
    #: the machines that TF_CONFIG names, each running the same command
    CLUSTER = "cluster"


class DevicesError(ShelverError):
    """Training cannot be spread as asked."""


def strategy_for(devices: Devices) -> tf.distribute.Strategy:
    """Return the strategy; to be called before anything else of TensorFlow. Raises DevicesError."""
    if devices is Devices.ONE:
        return tf.distribute.get_strategy()
    if devices is Devices.ALL:
        return tf.distribute.MirroredStrategy()
    try:
        cluster = json.loads(os.environ["TF_CONFIG"])
        workers, task = cluster["cluster"]["worker"], cluster["task"]
        if task["type"] != "worker" or not 0 <= int(task["index"]) < len(workers):
            raise ValueError("its task is none of its workers")
    except (KeyError, ValueError, TypeError) as error:
        raise DevicesError(
            f"TF_CONFIG is missing or wrong ({error}): set it on every machine to "
            '{"cluster": {"worker": ["HOST:PORT", …]}, "task": {"type": "worker", "index": 0, 1, …}}'
        ) from error
    return tf.distribute.MultiWorkerMirroredStrategy()


def check(config: Config, pictures: int, devices: int) -> None:
    """Raise DevicesError when a config cannot be trained on so many devices."""
    batch = config.batch
    if devices == 1:
        return
    if batch % devices or batch > pictures:
        raise DevicesError(
            f"a batch of {batch} cannot be spread over {devices} devices with {pictures:,} training pictures: choose a "
            "smaller multiple of the devices with --set batch=N"
        )
    if config.precision == "mixed_float16":  # Keras scales the loss by what one device saw, not by what all saw
        raise DevicesError("mixed_float16 is for one device: use --set precision=mixed_bfloat16")


def share_of(strategy: tf.distribute.Strategy) -> Share:
    """Return what this process reads of the pictures."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec():
        return Share()
    return Share(resolver.cluster_spec().num_tasks("worker"), resolver.task_id)

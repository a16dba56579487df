"""Fit a config to prepared data: the run's folder holds what it goes on from after a kill, and in the end the model."""

import json
import logging
import platform
import shutil
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from trainer.config import Named
from trainer.data import CATEGORIES, Data
from trainer.feed import Share
from trainer.replacing import replacing
from trainer.run import MODEL, Run, RunError
from trainer.training import checkpoint, devices
from trainer.training.checkpoint import BEST, CHECKPOINT, Progress
from trainer.training.devices import share_of
from trainer.training.loop import Loop, Reporter
from trainer.training.network import Network, build, choose_trainable, save
from trainer.training.sources import Features, Pictures, Source, extract, in_order
from trainer.training.steps import class_weights

logger = logging.getLogger("trainer")

#: what the run was begun with; the same to go on
BEGUN, HISTORY, LOGS = "begun.json", "history.json", "logs"
SPLITS = ("train", "validation")


def fit(named: Named, data: Data, folder: Path, strategy: tf.distribute.Strategy, reporter: Reporter) -> Run:
    """Train and write a run; a run that was killed goes on to the same history.

    Raises RunError when the folder holds another run or a finished one, or there is no room; WeightsError,
    CheckpointError.
    """
    try:
        return _fit(named, data, folder, strategy, reporter)
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written ({error.strerror}): free some room and run the same command again, which goes "
            "on from the last checkpoint"
        ) from error


def _fit(named: Named, data: Data, folder: Path, strategy: tf.distribute.Strategy, reporter: Reporter) -> Run:
    config, share = named.config, share_of(strategy)
    is_chief = share.index == 0
    devices.check(config, data.splits["train"].pictures, strategy.num_replicas_in_sync)
    begun = _check_folder(folder, named, data, is_chief)
    keras.utils.set_random_seed(config.seed)
    keras.mixed_precision.set_global_policy(config.precision)
    with strategy.scope():
        network = build(config, len(data.classes))
    if is_chief:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / BEGUN, json.dumps(begun))
    progress = checkpoint.read_progress(folder / CHECKPOINT) or Progress()
    if progress.history:
        logger.info("going on with %s in phase %d after %d epochs", folder, progress.phase + 1, len(progress.history))
        checkpoint.restore(folder / CHECKPOINT, network.whole.variables)
    loop = Loop(
        folder,
        config,
        strategy,
        network.whole,
        class_weights(data.splits["train"].counts, config.class_weights),
        progress,
        reporter,
        is_chief,
    )
    writer = tf.summary.create_file_writer(str(folder / LOGS)) if is_chief else tf.summary.create_noop_writer()

    def log(record: dict[str, Any]) -> None:
        _log(writer, len(progress.history), record)
        if is_chief:
            _replace(folder / HISTORY, json.dumps(progress.history, indent=1))

    loop.log = log
    while progress.phase < len(config.phases):
        _train_phase(loop, network, data, share)
    writer.close()
    run = _describe(named, data, folder, network)
    if is_chief:
        checkpoint.restore(folder / BEST, network.whole.variables)
        _finish(run, network, data, progress)
    return run


def _check_folder(folder: Path, named: Named, data: Data, is_chief: bool) -> dict[str, Any]:
    """Return what the run is begun with; raises RunError when the folder holds something else."""
    begun = {"config": named.config.model_dump(mode="json"), "plan": data.manifest["plan"]}
    if Run.is_finished(folder):
        raise RunError(f"{folder} holds a finished run: choose another --run or remove it")
    if (folder / BEGUN).exists():
        if json.loads((folder / BEGUN).read_text()) != begun:
            raise RunError(f"{folder} holds another unfinished run: choose another --run or remove it")
    elif is_chief and folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder} is not empty: choose another --run or remove it")
    return begun


def _replace(path: Path, text: str) -> None:
    with replacing(path) as draft:
        draft.write_text(text)


def _train_phase(loop: Loop, network: Network, data: Data, share: Share) -> None:
    config = loop.config
    phase = config.phases[loop.progress.phase]
    choose_trainable(network, config, phase)
    if not phase.cached:
        loop.run(phase, network.whole, Pictures(data, config.picture_side, config.seed, share))
        return
    loop.run(phase, network.head, _features(loop, network, data, share))


def _features(loop: Loop, network: Network, data: Data, share: Share) -> Source:
    """Return the examples of a phase that trains the head alone: each process has files of its own."""
    config = loop.config
    rows = []
    for split in SPLITS:
        mirrored = config.augmentation.flip and split == "train"
        pictures = in_order(data, split, config.picture_side)
        loop.reporter.begin(loop.progress.phase, data.splits[split].pictures, 0)
        path = loop.folder / f"features-{loop.progress.phase}-{split}-{share.index}.bin"
        rows.append(extract(network.backbone, pictures, path, mirrored, loop.reporter.advance))
    return Features(rows[0], rows[1], config.seed, share)


def _log(writer: tf.summary.SummaryWriter, step: int, record: dict[str, Any]) -> None:
    with writer.as_default(step):
        for name, value in record.items():
            tf.summary.scalar(name, value)
    writer.flush()


def _describe(named: Named, data: Data, folder: Path, network: Network) -> Run:
    config, train = named.config, data.splits["train"]
    return Run(
        folder=folder,
        config_name=named.name,
        config=config.model_dump(mode="json"),
        data=str(data.folder.resolve()),
        plan=data.manifest["plan"],
        backbone=config.backbone,
        seed=config.seed,
        classes=data.classes,
        picture_side=config.picture_side,
        counts={"products": train.products, "pictures": train.pictures, "parameters": network.served.count_params()},
        versions={"tensorflow": tf.__version__, "keras": keras.__version__, "python": platform.python_version()},
    )


def _finish(run: Run, network: Network, data: Data, progress: Progress) -> None:
    """Leave the best network, the history and the tree; what was for going on is removed."""
    shutil.copyfile(data.folder / CATEGORIES, run.folder / CATEGORIES)
    save(network, run.folder / MODEL)
    _replace(run.folder / HISTORY, json.dumps(progress.history, indent=1))
    run.write()  # last: without it the folder is no finished run
    for pattern in (CHECKPOINT, BEST, BEGUN, "features-*.bin", ".*.part"):
        for path in run.folder.glob(pattern):
            path.unlink()

"""Write MODELS/NAME/VERSION for TensorFlow Serving, and register the model and its categories in SQL."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf
from sqlalchemy import Connection

from trainer.graph import Classifier
from trainer.publishing import export, registry, serving_config
from trainer.publishing.labels import first
from trainer.run import MODEL, Run, RunError
from worker.contract.database import Database
from worker.contract.errors import ShelverError


class PublishError(ShelverError):
    """The model was not published; nothing is left behind."""


@dataclass(frozen=True)
class Plan:
    """What publishing a run would do; all of it has been checked."""

    #: MODELS/NAME/VERSION
    folder: Path
    #: put on the version, in MODELS/models.config: one that no other version has
    label: str | None
    #: what a person should know first
    warnings: tuple[str, ...]

    @property
    def version(self) -> int:
        """The version's number."""
        return int(self.folder.name)


def open_classifier(run: Run, top_k: int = 10) -> Classifier:
    """Return the run's graph as it is published, at its fitted temperature; raises RunError when it cannot be read."""
    try:
        network = keras.models.load_model(run.folder / MODEL, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        cause = str(error).strip().partition("\n")[0]
        raise RunError(f"{run.folder / MODEL} cannot be read ({cause}): make the run again with fit") from error
    return Classifier(network, run.classes, run.taxonomy, run.picture_side, top_k, run.temperature)


def plan(
    run: Run, models_folder: Path, name: str, version: int | None, database_url: str, label: str | None = None
) -> Plan:
    """Check everything that can be checked beforehand and say what `publish` would do; nothing is written.

    `version` is one more than any on disk or in SQL when None. Raises PublishError when the name is none, the version
    exists or the folder cannot be written; ServingConfigError; LabelError when another version has the label;
    Unavailable when the database does not answer.
    """
    _check_name(name)
    home = models_folder / name
    _check_writable(home)
    with closing(Database(database_url)) as database, database.begin() as connection:
        version = version or _next_version(connection, home, name)
        _check_free(connection, home, name, version)
    if label:
        config = serving_config.read(models_folder / serving_config.FILE)
        first(label, version)(serving_config.served(config, name).labels)
    return Plan(home / str(version), label, tuple(_warnings(run)))


def publish(
    run: Run,
    classifier: Classifier,
    models_folder: Path,
    name: str,
    version: int | None,
    database_url: str,
    label: str | None = None,
) -> Path:
    """Publish a run; return MODELS/NAME/VERSION, which appears whole or not at all.

    Raises as `plan`, and PublishError when the disk is full. The rows are committed right after the folder and its
    label are in place; when they cannot be, both are taken back.
    """
    folder = plan(run, models_folder, name, version, database_url, label).folder
    # Hidden and not a number: whoever watches the folder does not take it for a version.
    made = folder.with_name(f".draft-{folder.name}-{os.getpid()}")
    try:
        with _telling(folder):
            export.write(made, run, classifier, name, int(folder.name))
            # The label's block ends last: it is taken back when the rows are not committed.
            with ExitStack() as labelling, closing(Database(database_url)) as database, database.begin() as connection:
                _check_free(connection, folder.parent, name, int(folder.name))
                registry.register(connection, run, name, int(folder.name))
                made = made.rename(folder)
                if label:
                    labelling.enter_context(serving_config.labelled(folder.parent, first(label, int(folder.name))))
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        with suppress(OSError):  # other versions are in it
            folder.parent.rmdir()
        raise
    return made


@contextmanager
def _telling(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        cause = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise PublishError(f"{folder} cannot be written ({cause}): free some room; nothing is left behind") from error


def _warnings(run: Run) -> Iterator[str]:
    if not run.metrics:
        yield f"{run.folder} was never evaluated, so the model gets no scores and no thresholds: run evaluate first"
    elif all(each is None for each in run.thresholds.values()):
        yield f"{run.folder} reached its target precision at no level, so the model gets no thresholds"


def _check_name(name: str) -> None:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise PublishError(f"{name!r} is no model name: use letters, digits, - and _")


def _check_writable(home: Path) -> None:
    there = next(each for each in (home, *home.parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise PublishError(f"{there} is no folder that can be written: choose another for the models")


def _check_free(connection: Connection, home: Path, name: str, version: int) -> None:
    taken = (("the database", registry.has(connection, name, version)), (str(home), (home / str(version)).exists()))
    for place, there in taken:
        if there:
            raise PublishError(f"{name} version {version} is already in {place}: leave --version out for the next one")


def _next_version(connection: Connection, home: Path, name: str) -> int:
    on_disk = [int(each.name) for each in home.glob("*") if each.name.isdecimal()]
    return max([registry.newest(connection, name), *on_disk]) + 1

"""TensorFlow Serving's model config file, MODELS/models.config: which versions are served, under which labels.

tensorflow_model_server --model_config_file=MODELS/models.config --model_config_file_poll_wait_seconds=30
  --allow_version_labels_for_unavailable_models reads it at its start and every 30 s. It moves the labels first and
loads afterwards, so a label that names a version which is not loaded has the whole file refused, time after time. The
last flag excepts labels that are new to the server: all are at its start. A label that moves must move to a loaded
version, therefore trainer.publishing.rollout writes twice: what is to be loaded, and once it is, the labels.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

from trainer.publishing.labels import Change, Labels
from worker.contract.errors import ShelverError

FILE = "models.config"
PLATFORM = "tensorflow"


class ServingConfigError(ShelverError):
    """The model config file cannot be read or written."""


@dataclass(frozen=True)
class Served:
    """What the file has one model's server do."""

    labels: Labels = field(default_factory=dict)
    #: named as those to load; empty while the file leaves that to another policy
    versions: frozenset[int] = frozenset()


def read(path: Path) -> ModelServerConfig:
    """Parse a model config file, an empty one when it is not there; raises ServingConfigError."""
    try:
        config = text_format.Parse(path.read_bytes(), ModelServerConfig())
    except FileNotFoundError:
        return ModelServerConfig()
    except (OSError, text_format.ParseError, UnicodeDecodeError) as error:
        raise ServingConfigError(
            f"{path} is no ModelServerConfig in text format ({error}): mend it, or move it away"
        ) from error
    if config.WhichOneof("config") == "custom_model_config":
        raise ServingConfigError(f"{path} holds a custom_model_config: labels need a model_config_list")
    return config


def served(config: ModelServerConfig, name: str) -> Served:
    """Return what the config says of a model, nothing when it does not know it."""
    for model in config.model_config_list.config:
        if model.name == name:
            return Served(dict(model.version_labels), frozenset(model.model_version_policy.specific.versions))
    return Served()


def with_labels(config: ModelServerConfig, folder: Path, labels: Labels, more: Iterable[int] = ()) -> ModelServerConfig:
    """Return the config with exactly these labels on versions of the model in `folder` (MODELS/NAME).

    Of that model exactly the labelled versions are served, and `more`. A base path that is there stays: the server may
    see the folder elsewhere. Other models stay as they are.
    """
    changed = ModelServerConfig()
    changed.CopyFrom(config)
    model = _entry(changed, folder)
    model.version_labels.clear()
    model.version_labels.update(labels)
    # Assigning all of the policy at once: what it was before, `latest` or `all`, goes.
    model.ClearField("model_version_policy")
    model.model_version_policy.specific.versions.extend(sorted({*labels.values(), *more}))
    return changed


def _entry(config: ModelServerConfig, folder: Path) -> ModelConfig:
    for model in config.model_config_list.config:
        if model.name == folder.name:
            return model
    return config.model_config_list.config.add(
        name=folder.name, base_path=str(folder.resolve()), model_platform=PLATFORM
    )


@contextmanager
def labelled(folder: Path, change: Change, also: Iterable[int] = (), alone: bool = False) -> Iterator[Labels]:
    """Change the labels of the model in `folder` (MODELS/NAME), give them all; take that back if the block raises.

    Versions without a label stay, for others wait for them to be loaded, and `also` is added; those go that lose their
    label now, or, with `alone`, all. The file is replaced at once, so a server never reads half of it, and one process
    at a time changes it; one that would stay as it is is left alone. Raises ServingConfigError, and what `change` does.
    """

    def changed(config: ModelServerConfig, now: Served) -> ModelServerConfig:
        after = change(now.labels)
        others = now.versions - ({*now.labels.values()} - {*after.values()})
        return with_labels(config, folder, after, {*also} if alone else {*others, *also})

    with _replaced(folder, changed) as after:
        yield after.labels


def load(folder: Path, versions: Iterable[int]) -> None:
    """Have these versions loaded too, without a label; raises ServingConfigError."""
    with labelled(folder, lambda labels: labels, versions):
        pass


@contextmanager
def _replaced(folder: Path, change: Callable[[ModelServerConfig, Served], ModelServerConfig]) -> Iterator[Served]:
    path = folder.parent / FILE
    with _locked(folder.parent):
        before = path.read_bytes() if path.exists() else None
        config = read(path)
        after = change(config, served(config, folder.name))
        if after != config:
            _replace(path, text_format.MessageToBytes(after))
        try:
            yield served(after, folder.name)
        except BaseException:
            if before is None:
                path.unlink(missing_ok=True)
            else:
                _replace(path, before)
            raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise ServingConfigError(f"{folder} cannot be opened ({error.strerror}): name the models' folder") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ServingConfigError(f"{path} cannot be written ({error.strerror}): free some room, try again") from error

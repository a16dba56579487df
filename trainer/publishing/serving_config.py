"""TensorFlow Serving's model config file, MODELS/models.config: which versions are served, under which labels.

tensorflow_model_server --model_config_file=MODELS/models.config --model_config_file_poll_wait_seconds=30
  --allow_version_labels_for_unavailable_models reads it at its start and whenever it has changed. Without the last flag
a label may only name a version that is loaded already, which at its start none is. The flag does not cover a label that
moves to a version not loaded yet: TensorFlow Serving refuses the whole file then, unless
--force_allow_any_version_labels_for_unavailable_models lets the label name nothing while the version loads. So label a
version canary first, and stable once it is served: that move is safe.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

from worker.contract.errors import ShelverError

FILE = "models.config"
LABELS = ("canary", "stable")
PLATFORM = "tensorflow"


class ServingConfigError(ShelverError):
    """The model config file cannot be read or written."""


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


def with_label(config: ModelServerConfig, folder: Path, version: int, label: str) -> ModelServerConfig:
    """Return the config with `label` on a version of the model in `folder` (MODELS/NAME) and nowhere else of it.

    Of that model exactly the labelled versions are served. A base path that is there stays: the server may see the
    folder elsewhere. Other models stay as they are.
    """
    changed = ModelServerConfig()
    changed.CopyFrom(config)
    model = _entry(changed, folder)
    model.version_labels[label] = version
    # Assigning all of the policy at once: what it was before, `latest` or `all`, goes.
    model.ClearField("model_version_policy")
    model.model_version_policy.specific.versions.extend(sorted(set(model.version_labels.values())))
    return changed


def _entry(config: ModelServerConfig, folder: Path) -> ModelConfig:
    for model in config.model_config_list.config:
        if model.name == folder.name:
            return model
    return config.model_config_list.config.add(
        name=folder.name, base_path=str(folder.resolve()), model_platform=PLATFORM
    )


@contextmanager
def labelled(folder: Path, version: int, label: str) -> Iterator[None]:
    """Put a label on a version of the model in `folder` (MODELS/NAME); take it back if the block raises.

    The file is replaced at once, so a server never reads half of it, and one process at a time changes it. Raises
    ServingConfigError.
    """
    path = folder.parent / FILE
    with _locked(folder.parent):
        before = path.read_bytes() if path.exists() else None
        _replace(path, text_format.MessageToBytes(with_label(read(path), folder, version, label)))
        try:
            yield
        except BaseException:
            if before is None:
                path.unlink()
            else:
                _replace(path, before)
            raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
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

"""A reload request or a model config file, checked and read: which models, from which folders, under which labels."""

from pathlib import Path

import grpc
from google.protobuf import text_format
from tensorflow_serving.config import file_system_storage_path_source_pb2, model_server_config_pb2

from trainer.serve.errors import ServeError, StatusError
from trainer.serve.snapshot import Labels
from trainer.serve.versions import ModelFolder, Policy

PLATFORM = "tensorflow"
VersionPolicy = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy


def read(config: model_server_config_pb2.ModelServerConfig) -> tuple[list[ModelFolder], Labels]:
    """Return the models and labels of a ModelServerConfig; raise StatusError INVALID_ARGUMENT when it is not valid.

    The rules are TensorFlow Serving's: a model_config_list, names that differ, absolute base paths, and the
    platform "tensorflow" spelled out (or the deprecated model_type TENSORFLOW).
    """
    if config.WhichOneof("config") != "model_config_list":
        raise _refused("only a model_config_list is taken by HandleReloadConfigRequest")
    models: dict[str, ModelFolder] = {}
    labels: dict[str, dict[str, int]] = {}
    for model in config.model_config_list.config:
        if model.name in models:
            raise _refused(f"Illegal to list model {model.name} multiple times in config list")
        if not Path(model.base_path).is_absolute():
            raise _refused(f"Expected model {model.name} to have an absolute path; got base_path {model.base_path!r}")
        _check_platform(model)
        models[model.name] = ModelFolder(model.name, Path(model.base_path), _policy(model.model_version_policy))
        labels[model.name] = dict(model.version_labels)
    return list(models.values()), labels


def read_file(path: Path) -> tuple[list[ModelFolder], Labels]:
    """Return the models and labels of a model config file (ModelServerConfig in text format); raise ServeError."""
    try:
        return read(text_format.Parse(path.read_bytes(), model_server_config_pb2.ModelServerConfig()))
    except (OSError, UnicodeDecodeError, text_format.ParseError, StatusError) as error:
        raise ServeError(f"{path} is no model config file ({error}): see shelver-trainer publish --label") from error


def _check_platform(model: model_server_config_pb2.ModelConfig) -> None:
    if model.model_type and model.model_platform:
        raise _refused(f"model {model.name} sets both model_platform and model_type (deprecated): set the first alone")
    legacy = model.model_type == model_server_config_pb2.TENSORFLOW
    if not legacy and model.model_platform != PLATFORM:
        raise _refused(f'model {model.name} needs the model_platform "{PLATFORM}", not "{model.model_platform}"')


def _policy(policy: VersionPolicy) -> Policy:
    match policy.WhichOneof("policy_choice"):
        case "all":
            return Policy(at_most=None)
        case "specific":
            return Policy(at_most=None, only=frozenset(policy.specific.versions))
        case _:
            return Policy(at_most=max(1, policy.latest.num_versions))


def _refused(message: str) -> StatusError:
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)

"""Load the versions of a model that its policy wants; decide what they replace."""

import logging
from collections.abc import Callable
from pathlib import Path

import grpc

from trainer.serve.errors import StatusError
from trainer.serve.predict import LoadedModel
from trainer.serve.snapshot import Versions
from trainer.serve.versions import ModelFolder, Version, marks_of, version_folders

#: given each version that starts to load
Announce = Callable[[Version], None]
#: given a name, a version and its folder; raises StatusError when it cannot be served
Open = Callable[[str, int, Path], LoadedModel]
Load = Callable[[ModelFolder, Versions, Announce, Open], dict[int, Version]]

logger = logging.getLogger("trainer.serve")


def load_wanted(config: ModelFolder, before: Versions, announce: Announce, open_model: Open) -> dict[int, Version]:
    """Return the versions that the policy wants, loaded unless they are already, and those that failed to load.

    A version that fails makes room for the next older one. It is tried again only once its folder has changed.
    `announce` is given each version that starts to load. Empty when the folder holds no version to serve; raises
    OSError when the folder cannot be read.
    """
    folders = version_folders(config.folder)
    tried: dict[int, Version] = {}
    for number in config.policy.candidates(folders):
        if sum(version.model is not None for version in tried.values()) == config.policy.at_most:
            break
        tried[number] = _loaded(config.name, number, folders[number], before.get(number), announce, open_model)
    return tried


def load_or_refuse(config: ModelFolder, before: Versions, announce: Announce, open_model: Open) -> dict[int, Version]:
    """Do as `load_wanted`, but raise StatusError when no version that the policy wants could be loaded."""
    try:
        tried = load_wanted(config, before, announce, open_model)
    except OSError as error:
        raise StatusError(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"Could not find base path {config.folder} for servable {config.name}: {error.strerror}",
        ) from error
    if not tried:
        raise StatusError(
            grpc.StatusCode.NOT_FOUND,
            f"Unable to find a numerical version path for servable {config.name} at: {config.folder}",
        )
    if not any(version.model for version in tried.values()):
        reasons = "; ".join(f"version {number}: {version.fault}" for number, version in tried.items())
        raise StatusError(grpc.StatusCode.UNKNOWN, f"model {config.name} did not become available, {reasons}")
    return tried


def merged(before: Versions, tried: Versions) -> dict[int, Version]:
    """Return all versions of a model after `load_wanted` returned `tried`.

    What is not wanted any more leaves, but never without a replacement: while nothing wanted loads, what was
    served stays. When there is nothing to want, because the folder holds no such version, all leave. That is
    TensorFlow Serving's availability-preserving policy.
    """
    replaced = not tried or any(version.model for version in tried.values())
    return {**(all_left(before) if replaced else before), **tried}


def all_left(versions: Versions) -> dict[int, Version]:
    """Return the versions with none of them served."""
    return {number: version.left() for number, version in versions.items()}


def _loaded(
    name: str, number: int, folder: Path, known: Version | None, announce: Announce, open_model: Open
) -> Version:
    if known and known.model and known.folder == folder:
        return known
    marks = marks_of(folder)
    if known and known.fault and known.marks == marks:
        return known
    if not (known and known.model):
        announce(Version(number, folder, loading=True))
    try:
        return Version(number, folder, model=open_model(name, number, folder))
    except StatusError as fault:
        if not (known and known.fault and known.fault.message == fault.message):
            logger.warning("%s %d cannot be loaded: %s", name, number, fault.message)
        return Version(number, folder, fault=fault.without_traceback(), marks=marks)

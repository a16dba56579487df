"""Version folders, the policies that choose among them, and the life of one version."""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tensorflow_serving.apis import get_model_status_pb2

from trainer.serve.errors import StatusError
from trainer.serve.predict import LoadedModel

State = get_model_status_pb2.ModelVersionStatus
#: version numbers are int64 on the wire
MAX_NUMBER = 2**63 - 1

#: what a folder looked like: path, size in bytes and time of change of each file in it
Marks = frozenset[tuple[str, int, int]]


@dataclass(frozen=True)
class Policy:
    """Which of the versions in a folder are served; by default the newest."""

    #: as many as this, the newest first; all of them when None
    at_most: int | None = 1
    #: these alone; any when None
    only: frozenset[int] | None = None

    def candidates(self, numbers: Iterable[int]) -> list[int]:
        """Return the versions that may be served, newest first, including those to fall back on."""
        return sorted((number for number in numbers if self.only is None or number in self.only), reverse=True)


@dataclass(frozen=True)
class ModelFolder:
    """A model to serve: its name, the folder that holds its versions, and which of them to serve."""

    name: str
    folder: Path
    policy: Policy = Policy()


@dataclass(frozen=True)
class Version:
    """What became of one version of a model."""

    number: int
    folder: Path
    loading: bool = False
    #: while it is served
    model: LoadedModel | None = None
    #: once it is served no more: dead when the last request that uses it is answered
    leaving: weakref.ref[LoadedModel] | None = None
    #: why it could not be loaded, and what its folder looked like then
    fault: StatusError | None = None
    marks: Marks = frozenset()

    @property
    def state(self) -> int:
        """Return the state as GetModelStatus names it."""
        if self.model is not None:
            return State.AVAILABLE
        if self.loading:
            return State.LOADING
        return State.UNLOADING if self.held else State.END

    @property
    def held(self) -> LoadedModel | None:
        """Return the model while requests can hold it: while it is served, and until the last one is answered."""
        return self.model or (self.leaving() if self.leaving else None)

    def left(self) -> "Version":
        """Return this version no longer served; requests in flight keep the model until they are answered."""
        if self.model is None:
            return self
        return Version(self.number, self.folder, leaving=weakref.ref(self.model))


def version_folders(folder: Path) -> dict[int, Path]:
    """Return the version folders of a model by number: those whose name is a number, as 3 or 00000003.

    Raises OSError when the folder cannot be read.
    """
    return {
        int(child.name): child
        for child in sorted(folder.iterdir())
        if child.name.isascii() and child.name.isdigit() and int(child.name) <= MAX_NUMBER and child.is_dir()
    }


def marks_of(folder: Path) -> Marks:
    """Return what tells that a folder has changed; a file that vanishes meanwhile is left out."""
    marks = set()
    for path in folder.rglob("*"):
        try:
            status = path.stat()
        except OSError:
            continue
        marks.add((str(path), status.st_size, status.st_mtime_ns))
    return frozenset(marks)

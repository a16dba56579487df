"""What a killed training goes on from: one file, replaced whole."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import keras
import numpy as np

from trainer.replacing import replacing
from worker.contract.errors import ShelverError

CHECKPOINT, BEST = "checkpoint.npz", "best.npz"


class CheckpointError(ShelverError):
    """The checkpoint does not fit."""


@dataclass
class Progress:
    """How far training is."""

    phase: int = 0
    #: epochs of the phase that are done
    epoch: int = 0
    #: steps of the epoch that are done
    step: int = 0
    #: of the epoch so far: loss and right answers summed, pictures
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    #: one record an epoch
    history: list[dict[str, Any]] = field(default_factory=list)
    #: the best validation score and in which epoch of all it was; None before the first
    best: float | None = None
    #: epochs of the phase since its best
    waited: int = 0

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `save` wrote."""
        return cls(**json.loads(text))


def save(path: Path, progress: Progress, *groups: list[keras.Variable]) -> None:
    """Write progress and the values of the variables, whole or not at all."""
    arrays = {
        f"{group}-{place}": np.asarray(variable)
        for group, variables in enumerate(groups)
        for place, variable in enumerate(variables)
    }
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, progress=np.array(json.dumps(asdict(progress))), **arrays)


def read_progress(path: Path) -> Progress | None:
    """Return how far a checkpoint is, None when there is none."""
    if not path.exists():
        return None
    with _opened(path) as arrays:
        return Progress.from_json(str(arrays["progress"]))


def restore(path: Path, *groups: list[keras.Variable]) -> None:
    """Give the variables the values of a checkpoint; raises CheckpointError when it is of another network."""
    with _opened(path) as arrays:
        for group, variables in enumerate(groups):
            for place, variable in enumerate(variables):
                value = arrays.get(f"{group}-{place}")
                if value is None or value.shape != tuple(variable.shape):
                    raise CheckpointError(f"{path} is of another network: choose another --run")
                variable.assign(value)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): remove it to begin the run anew") from error

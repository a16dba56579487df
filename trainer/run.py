"""A run: the folder in which a fit leaves its model, and from which it is evaluated and published."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from worker.contract.errors import ShelverError
from worker.contract.taxonomy import Taxonomy

MODEL, CATEGORIES, FACTS = "model.keras", "category_names.csv", "run.json"


class RunError(ShelverError):
    """The folder is not a run, or not a finished one."""


@dataclass
class Run:
    """What is known of a fitted model beside its weights."""

    folder: Path
    #: the config it was made with: its name, and every field
    config_name: str
    config: dict[str, Any]
    #: the prepared data it was trained on, as an absolute path, and what their manifest calls their plan
    data: str
    plan: str
    backbone: str
    seed: int
    #: category ids in the order of the model's logits
    classes: list[int]
    #: pixels a side, as the model takes pictures
    picture_side: int
    #: products and pictures it was trained on
    counts: dict[str, int]
    #: what logits are divided by, fitted on the validation split by `evaluate`
    temperature: float = 1.0
    #: level ("1" to "3") -> score from which on a prediction is right often enough; None where none is
    thresholds: dict[str, float | None] = field(default_factory=dict)
    #: scores of `evaluate`; empty before
    metrics: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a run; raises RunError when the folder is not one."""
        try:
            facts: dict[str, Any] = json.loads((folder / FACTS).read_text())
            return cls(folder=folder, **facts)
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{folder} is not a finished run ({error}): make one with shelver-trainer fit") from error

    @staticmethod
    def is_finished(folder: Path) -> bool:
        """Say whether a folder holds a finished run."""
        return (folder / FACTS).exists()

    @property
    def taxonomy(self) -> Taxonomy:
        """The tree it was trained on, as it was then."""
        return Taxonomy.from_csv(self.folder / CATEGORIES)

    @property
    def level(self) -> int:
        """The level of its classes."""
        return self.taxonomy.by_id[self.classes[0]].level

    def write(self) -> None:
        """Write run.json, whole or not at all; raises RunError when there is no room."""
        facts = {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name != "folder"}
        temporary = self.folder / f"{FACTS}.part"
        try:
            temporary.write_text(json.dumps(facts, indent=1))
            temporary.replace(self.folder / FACTS)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise RunError(f"{self.folder} cannot be written ({error.strerror}): free some room, try again") from error

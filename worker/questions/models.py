"""The published models, and the one that a person names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from worker.contract.errors import ShelverError
from worker.contract.tables import models
from worker.contract.taxonomy import LEVELS


class NoSuchModel(ShelverError):
    """No published model has this name and version; the message lists what there is."""


@dataclass(frozen=True, slots=True)
class Version:
    """A published model."""

    #: as predictions name it
    id: int
    name: str
    version: int
    #: of its classes, the finest it predicts
    level: int
    #: scores on test products by name, as `evaluate` writes them
    metrics: dict[str, Any]
    #: level -> score from which on a product is assigned; None where none is right often enough
    thresholds: dict[int, float | None]
    published_at: datetime

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


def versions(connection: Connection) -> list[Version]:
    """Return every published model, newest first."""
    rows = connection.execute(select(models).order_by(models.c.published_at.desc(), models.c.id.desc()))
    return [
        Version(
            *(row.id, row.name, row.version, row.level, dict(row.metrics)),
            {level: getattr(row, f"threshold_level{level}") for level in LEVELS},
            row.published_at,
        )
        for row in rows
    ]


def version(connection: Connection, text: str, default_name: str) -> Version:
    """Return the model that `text` names: "3" is version 3 of `default_name`, "other:3" of other.

    Raises NoSuchModel.
    """
    there = versions(connection)
    name, _, number = text.rpartition(":")
    for each in there:
        if (each.name, str(each.version)) == (name or default_name, number.strip()):
            return each
    raise NoSuchModel(f"no model {text[:100]!r} is published: {_tell(there)}")


def _tell(there: Sequence[Version]) -> str:
    if not there:
        return "there is none yet, shelver-trainer publish makes one"
    return f"write NAME:VERSION, as one of {', '.join(map(str, there[:20]))}"

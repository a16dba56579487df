"""The versions of a model, wherever one is known: the folder, the SQL store, the config file, the model server."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from trainer.publishing import registry, serving_config
from trainer.publishing.replicas import END, State, asked
from worker.contract.database import Database
from worker.contract.errors import Unavailable
from worker.contract.settings import Settings


@dataclass(frozen=True)
class Version:
    """What is known of a version; None where nothing is."""

    number: int
    labels: tuple[str, ...]
    #: whether MODELS/NAME/VERSION is there
    has_folder: bool
    is_registered: bool
    published_at: datetime | None
    #: of its classes
    level: int | None
    #: as `evaluate` measured them
    metrics: Mapping[str, Any]
    #: by the address of each replica that answers
    states: Mapping[str, State]


@dataclass(frozen=True)
class Found:
    """All versions of a model, newest first, and which servers were asked about them."""

    versions: list[Version]
    #: address of each replica -> why it did not answer, None of one that did
    servers: dict[str, str | None]

    def problems(self) -> list[str]:
        """Return why servers do not answer, and why versions were not loaded, a sentence each."""
        return [
            *filter(None, self.servers.values()),
            *(
                f"version {each.number} is not loaded at {address}: {state.fault}"
                for each in self.versions
                for address, state in each.states.items()
                if state.fault
            ),
        ]


def find(folder: Path, settings: Settings) -> Found:
    """Look a model of `folder` (MODELS/NAME) up everywhere.

    Raises ServingConfigError, and Unavailable when the store does not answer; a model server that does not is told in
    the result.
    """
    labels = serving_config.served(serving_config.read(folder.parent / serving_config.FILE), folder.name).labels
    folders = {int(each.name) for each in folder.glob("*") if each.name.isdecimal() and each.is_dir()}
    with closing(Database(settings.database_url, read_only=True)) as database, database.begin() as connection:
        stored = {row.version: row for row in registry.rows(connection, folder.name)}
    states, servers = _states(settings, folder.name)
    loaded = {number for each in states.values() for number, state in each.items() if state.name != END}
    return Found(
        [
            Version(
                number,
                tuple(sorted(label for label, version in labels.items() if version == number)),
                number in folders,
                number in stored,
                *((row.published_at, row.level, row.metrics) if (row := stored.get(number)) else (None, None, {})),
                {address: each[number] for address, each in states.items() if number in each},
            )
            for number in sorted(folders | stored.keys() | loaded | {*labels.values()}, reverse=True)
        ],
        servers,
    )


def _states(settings: Settings, model: str) -> tuple[dict[str, dict[int, State]], dict[str, str | None]]:
    """Return what each replica says of the versions, and which replicas say nothing, and why."""
    answers = asked(settings, lambda replica: replica.states(model))
    states = {address: answer for address, answer in answers.items() if not isinstance(answer, Unavailable)}
    return states, {address: None if address in states else str(answer) for address, answer in answers.items()}

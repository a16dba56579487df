"""Move a label in two steps that TensorFlow Serving takes: have the version loaded, and once it is, label it.

Each step is one replacement of the config file, so whoever is killed in between leaves labels that hold, and the same
call goes on.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from trainer.publishing import registry, serving_config
from trainer.publishing.labels import Change, Labels
from trainer.publishing.replicas import AVAILABLE, Replica, replicas
from worker.contract.database import Database
from worker.contract.errors import ShelverError, Unavailable
from worker.contract.settings import Settings

POLL_SECONDS = 0.5


class RolloutError(ShelverError):
    """The label has not moved, or is not known to have."""


@dataclass(frozen=True)
class Rollout:
    """One model of a folder and the servers that follow its config file."""

    #: MODELS/NAME
    folder: Path
    settings: Settings
    #: how long the servers may take over each step; None asks none of them
    timeout_seconds: float | None
    #: given a word when what is waited for changes
    tell: Callable[[str], None]

    def check(self, version: int) -> None:
        """Raise RolloutError for a version that is not in the folder."""
        if not (self.folder / str(version)).is_dir():
            there = sorted(int(each.name) for each in self.folder.glob("*") if each.name.isdecimal())
            told = f"it holds {', '.join(map(str, there))}" if there else "it holds none"
            raise RolloutError(f"version {version} is not in {self.folder} ({told}): publish it, or name another")

    def check_registered(self, version: int) -> None:
        """Raise RolloutError for a version that the store does not know, Unavailable when the store does not answer."""
        with closing(Database(self.settings.database_url, read_only=True)) as database, database.begin() as connection:
            if not registry.has(connection, self.folder.name, version):
                raise RolloutError(
                    f"{self.folder.name} version {version} is not registered in {database.address}, so no worker could "
                    "store its predictions: publish it with this SHELVER_DATABASE_URL"
                )

    @property
    def file(self) -> Path:
        """MODELS/models.config."""
        return self.folder.parent / serving_config.FILE

    def labels(self) -> Labels:
        """Return the labels that the config file has; raises ServingConfigError."""
        return self._served().labels

    def plan(self, change: Change) -> Labels:
        """Return the labels that `move` would leave; raises what it would raise before its first step."""
        after = change(self.labels())
        if self.timeout_seconds is not None:
            try:
                for each in replicas(self.settings):
                    each.states(self.folder.name)
            except Unavailable as error:
                raise RolloutError(
                    f"{error}; start it, name it with --server, or have it follow the file later with --no-wait"
                ) from error
        return after

    def move(self, label: str, change: Change) -> Labels:
        """Change the labels, `label` among them, and return them all once every server has them.

        Raises LabelError, ServingConfigError, and RolloutError when a server does not answer at first or does not
        follow in time, and, where none is asked, when the labels have to wait for what is to be loaded.
        """
        after, now = self.plan(change), self._served()
        moved = {version for each, version in after.items() if now.labels.get(each) != version}
        if missing := moved - now.versions:
            self._load(missing, after)
        self._wait(lambda replica: _not_loaded(replica, self.folder.name, moved))
        with serving_config.labelled(self.folder, change) as labels:
            pass
        self._wait(lambda replica: _not_labelled(replica, self.folder.name, label, labels.get(label)))
        return labels

    def _load(self, missing: set[int], after: Labels) -> None:
        """Have what is missing loaded. Without asking, a label that is new may wait for its version, others may not."""
        labels = self.labels()
        waiting = [each for each, version in after.items() if version in missing and each in labels]
        if self.timeout_seconds is not None or waiting:
            serving_config.load(self.folder, missing)
        if self.timeout_seconds is None and waiting:
            raise RolloutError(
                f"{waiting[0]} stays on version {labels[waiting[0]]} until version {after[waiting[0]]}, which "
                f"{self.file} now asks for, is loaded: then run the same command again"
            )

    def _served(self) -> serving_config.Served:
        config = serving_config.read(self.file)
        return serving_config.served(config, self.folder.name)

    def _wait(self, lacking: Callable[[Replica], str | None]) -> None:
        """Return once no replica lacks anything, or at once where none is asked; RolloutError when time is up."""
        began, told = time.monotonic(), None
        while self.timeout_seconds is not None and (found := self._first_lack(lacking)):
            if time.monotonic() - began >= self.timeout_seconds:
                raise RolloutError(
                    f"{found}, after {self.timeout_seconds:g} s: see the log of that server, and that it follows "
                    f"{self.file}; the same command goes on"
                )
            if found != told:
                self.tell(f"waiting: {found}")
            told = found
            time.sleep(POLL_SECONDS)

    def _first_lack(self, lacking: Callable[[Replica], str | None]) -> str | None:
        """Return what the first replica that lacks something lacks, be it that it answers."""
        try:
            return next((told for each in replicas(self.settings) if (told := lacking(each))), None)
        except Unavailable as error:  # it did answer at first: it may be starting again
            return str(error)


def _not_loaded(replica: Replica, model: str, versions: Iterable[int]) -> str | None:
    states = replica.states(model)
    for version in sorted(versions):
        state = states.get(version)
        if state is None or state.name != AVAILABLE:
            told = state or "it has not heard of it"
            return f"the model server at {replica.address} has not loaded {model} version {version}: {told}"
    return None


def _not_labelled(replica: Replica, model: str, label: str, version: int | None) -> str | None:
    found = replica.version_of(model, label)
    if found == version:
        return None
    return f"the model server at {replica.address} has {_say(found)} of {model} as {label}, not {_say(version)}"


def _say(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"

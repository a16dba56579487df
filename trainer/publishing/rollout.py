"""Move a label in two steps that TensorFlow Serving takes: have the version loaded, and once it is, label it.

Each step is one replacement of the config file, so whoever is killed in between leaves labels that hold, and the same
call goes on. A file that the servers refuse, as a restored one may be, is first put back to what they answer.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from trainer.publishing import registry, serving_config
from trainer.publishing.labels import PREVIOUS, Change, Labels, told
from trainer.publishing.loaded import Loaded, sound, taken
from trainer.publishing.replicas import Replica, asked, replicas
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
    #: how long the servers may take over each step; None waits for none, and believes those that answer
    timeout_seconds: float | None
    #: given a word when what is waited for changes
    tell: Callable[[str], None]

    def check(self, version: int) -> None:
        """Raise RolloutError for a version that is not in the folder."""
        if not (self.folder / str(version)).is_dir():
            there = sorted(int(each.name) for each in self.folder.glob("*") if each.name.isdecimal())
            held = ", ".join(map(str, there)) or "none"
            raise RolloutError(
                f"version {version} is not in {self.folder} (it holds {held}): publish it, or name another"
            )

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
        servers, silent = self._ask()
        before = taken(self.labels(), servers)
        wanted = change(before)
        if silent and self.timeout_seconds is not None:
            raise RolloutError(
                f"{silent}; start it, name it with --server, or have it follow the file later with --no-wait"
            ) from silent
        after = sound(before, wanted, servers)
        if after != wanted:
            self.tell(f"version {wanted[PREVIOUS]} does not become {PREVIOUS}: not every server has it loaded")
        return after

    def move(self, label: str, change: Change, again: str, alone: bool = False) -> Labels:
        """Change the labels, `label` among them, and return them all once every server has them.

        `again` is the command that goes on, for a person; `alone` lets go of the versions that have no label. Raises
        LabelError, ServingConfigError, and RolloutError when a server does not answer at first or does not follow in
        time, and, where none is waited for, when the label has to wait for what is to be loaded.
        """
        model, version = self.folder.name, self.plan(change).get(label)
        self._load(label, version, again)
        if version is not None:
            self._wait(lambda replica: replica.lacks_version(model, version), again)
        servers, _ = self._ask()
        with serving_config.labelled(
            self.folder, lambda labels: sound(labels, change(labels), servers), alone=alone
        ) as labels:
            pass
        self._wait(lambda replica: replica.lacks_label(model, label, labels.get(label)), again)
        return labels

    def _load(self, label: str, version: int | None, again: str) -> None:
        """Have the version loaded that is to be labelled, by a file that the servers take.

        Without waiting, a label that is new may wait for its version; for one that moves RolloutError is raised.
        """
        (servers, _), now = self._ask(), self._served()
        back = taken(now.labels, servers)
        if back != now.labels:
            self.tell(f"a server refuses {self.file} ({told(now.labels)}), so it is put back first ({told(back)})")
        is_there = version in now.versions and all(version in each.versions for each in servers)
        must_wait = self.timeout_seconds is None and not is_there and version not in (None, back.get(label, version))
        wanted = [version] if version and (must_wait or self.timeout_seconds is not None) else []
        with serving_config.labelled(self.folder, lambda labels: back if labels == now.labels else labels, wanted):
            pass
        if must_wait:
            raise RolloutError(
                f"{label} stays on version {back[label]} until version {version}, which {self.file} now asks for, is "
                f"loaded: then run {again} again"
            )

    def _served(self) -> serving_config.Served:
        config = serving_config.read(self.file)
        return serving_config.served(config, self.folder.name)

    def _ask(self) -> tuple[list[Loaded], Unavailable | None]:
        """Return what the replicas that answer have, and why the first that does not, does not."""
        labels = self.labels()
        answers = asked(self.settings, lambda replica: replica.loaded(self.folder.name, labels)).values()
        silent = next((each for each in answers if isinstance(each, Unavailable)), None)
        return [each for each in answers if isinstance(each, Loaded)], silent

    def _wait(self, lacking: Callable[[Replica], str | None], again: str) -> None:
        """Return once no replica lacks anything, or at once where none is waited for; RolloutError when time is up."""
        began, last = time.monotonic(), None
        while self.timeout_seconds is not None and (found := self._first_lack(lacking)):
            if time.monotonic() - began >= self.timeout_seconds:
                raise RolloutError(
                    f"{found}, after {self.timeout_seconds:g} s: see the log of that server, and that it follows "
                    f"{self.file}; then {again} goes on"
                )
            if found != last:
                self.tell(f"waiting: {found}")
            last = found
            time.sleep(POLL_SECONDS)

    def _first_lack(self, lacking: Callable[[Replica], str | None]) -> str | None:
        """Return what the first replica that lacks something lacks, be it that it answers."""
        try:
            return next((lack for each in replicas(self.settings) if (lack := lacking(each))), None)
        except Unavailable as error:  # it did answer at first: it may be starting again
            return str(error)

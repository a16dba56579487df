"""Which labels the model servers take, by what they have loaded; one that they refuse has the whole file refused."""

from collections.abc import Iterable
from dataclasses import dataclass

from trainer.publishing.labels import PREVIOUS, STABLE, Labels


@dataclass(frozen=True)
class Loaded:
    """What one replica has of a model."""

    versions: frozenset[int]
    #: those under which a version answers
    labels: Labels

    def refuses(self, label: str, version: int) -> bool:
        """Return whether it answers with another version under a label that is to move to one it has not loaded."""
        return version not in self.versions and self.labels.get(label, version) != version


def taken(labels: Labels, servers: Iterable[Loaded]) -> Labels:
    """Return the labels with those that a server refuses put back to what answers there; previous goes instead."""
    refused = {
        label: each.labels[label]
        for each in servers
        for label, version in labels.items()
        if each.refuses(label, version)
    }
    back = {**labels, **refused}
    if PREVIOUS in refused or (refused and back.get(PREVIOUS) == back.get(STABLE)):
        back.pop(PREVIOUS, None)
    return back


def sound(before: Labels, after: Labels, servers: Iterable[Loaded]) -> Labels:
    """Return `after`, but with previous as `before` when it would be a version that a server has not loaded.

    Nobody could go back to that, and it must not keep anybody from leaving it. What is stable now is not previous too.
    """
    version, was = after.get(PREVIOUS), before.get(PREVIOUS)
    if version == was or all(version in each.versions for each in servers):
        return after
    left = {label: number for label, number in after.items() if label != PREVIOUS}
    return left if was in (None, left.get(STABLE)) else {**left, PREVIOUS: was}

"""Which installed distributions some extras of shelver require, with TensorFlow told apart."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from worker.contract.errors import ShelverError

PROJECT = distribution("shelver")
TENSORFLOW = "tensorflow"


class CannotBuild(ShelverError):
    """There is no slim environment of what was asked for."""


@dataclass(frozen=True, slots=True)
class Required:
    """What some extras require."""

    #: by name, in order; without TensorFlow
    distributions: dict[str, Distribution]
    #: those among them that require TensorFlow
    importers: frozenset[str]


def required(extras: Iterable[str]) -> Required:
    """Follow the requirements of shelver with these extras, but not those of TensorFlow.

    Raises CannotBuild for an unknown extra, the trainer's, and a distribution that the environment lacks.
    """
    extras = list(extras)
    if unknown := set(extras) - set(PROJECT.metadata.get_all("Provides-Extra") or ()):
        raise CannotBuild(f"{min(unknown)} is no extra of {PROJECT.name}: pyproject.toml lists them")
    found: dict[str, Distribution] = {}
    importers = set()
    waiting = [(PROJECT.name, extra) for extra in ("", *extras)]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        found[name] = _installed(name)
        for requirement in _requirements(found[name], extra):
            if requirement == (TENSORFLOW, ""):
                importers.add(name)
            elif requirement not in seen:
                seen.add(requirement)
                waiting.append(requirement)
    if PROJECT.name in importers:
        raise CannotBuild(f"{', '.join(extras)} requires TensorFlow itself: install it with pip")
    return Required(dict(sorted(found.items())), frozenset(importers))


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError as error:
        raise CannotBuild(f"{name} is not installed here: pip install shelver with the same extras first") from error


def _requirements(found: Distribution, extra: str) -> Iterator[tuple[str, str]]:
    """Yield name and extra of whatever it requires under one of its extras."""
    for requirement in map(Requirement, found.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            for each in ("", *requirement.extras):
                yield canonicalize_name(requirement.name), each

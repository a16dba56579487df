"""The files of distributions, as they lie in site-packages; of TensorFlow the protobuf messages alone."""

import ast
import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deploy.images.distributions import PROJECT, TENSORFLOW, Required

EDITABLE = "direct_url.json"
#: our package that runs TensorFlow, and so cannot run here
TRAINER = "trainer"


@dataclass(frozen=True, slots=True)
class File:
    """A file to copy."""

    #: where it is
    source: Path
    #: in site-packages
    path: Path


def files(wanted: Required) -> dict[str, list[File]]:
    """Return the files of each distribution by its name, with TensorFlow's messages under its own."""
    found = {name: list(_files(each)) for name, each in wanted.distributions.items()}
    found[PROJECT.name] = [file for file in found[PROJECT.name] if file.path.parts[0] != TRAINER]
    importers = [file.source for name in (PROJECT.name, *wanted.importers) for file in found[name]]
    if messages := list(_messages(importers)):
        found[TENSORFLOW] = messages
    return found


def _files(distribution: Distribution) -> Iterator[File]:
    """Yield what pip installed, but neither commands, whose first line names this environment, nor what it compiled."""
    root = _editable(distribution)
    for each in distribution.files or ():
        is_of_the_install = root and (each.name in (EDITABLE, "RECORD") or each.suffix == ".pth")
        if each.parts[0] != ".." and each.suffix != ".pyc" and not is_of_the_install:
            yield File(Path(each.locate()), Path(*each.parts))
    if root:
        yield from _sources(root)


def _editable(distribution: Distribution) -> Path | None:
    """Return the folder that an editable install stands for."""
    told = json.loads(distribution.read_text(EDITABLE) or "{}")
    return Path(unquote(urlsplit(told["url"]).path)) if told.get("dir_info", {}).get("editable") else None


def _sources(root: Path) -> Iterator[File]:
    """Yield what a wheel would hold; a hidden file may be a developer's own, with passwords in it."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        for path in sorted((root / package).rglob("*")):
            place = path.relative_to(root)
            if path.is_file() and "__pycache__" not in place.parts and not path.name.startswith("."):
                yield File(path, place)


def _messages(importers: Iterable[Path]) -> Iterator[File]:
    """Yield the modules of TensorFlow that these files import, and those that they import in turn."""
    waiting, seen = list(importers), set()
    while waiting:
        for place in _imported(waiting.pop()) - seen:
            seen.add(place)
            source = Path(PROJECT.locate_file("")) / place
            if source.is_file():
                waiting.append(source)
                yield File(source, place)


def _imported(path: Path) -> set[Path]:
    """Return where modules may be that one imports of TensorFlow; what follows `import` is in a module, or is one."""
    places = set()
    for node in ast.walk(ast.parse(path.read_bytes())) if path.suffix == ".py" else ():
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{TENSORFLOW}."):
            module = Path(*(node.module or "").split("."))
            places |= {module.with_suffix(".py"), *(module / f"{each.name}.py" for each in node.names)}
    return places

"""Render a kustomization as `kubectl kustomize` does, as far as ours go; anything else in one is an error.

tests/deploy/kubectl.py holds this against the real one, where kubectl is at hand.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

KNOWN = {"apiVersion", "kind", "namespace", "resources", "labels", "configMapGenerator", "images", "patches"}
#: kustomize's name for a hash has no vowels and nothing that looks like one, so that no word comes out
WITHOUT_VOWELS = str.maketrans("013ae", "ghkmt")


@dataclass(slots=True)
class Resource:
    """An object, and whether its name is to end in a hash of what it holds."""

    value: dict[str, Any]
    is_generated: bool = False

    @property
    def kind(self) -> str:
        """Its kind."""
        return self.value["kind"]

    @property
    def name(self) -> str:
        """Its name, without a hash."""
        return self.value["metadata"]["name"]


def render(folder: Path) -> list[dict[str, Any]]:
    """Return every object of a kustomization; raises ValueError for what this cannot render."""
    resources = list(_accumulate(folder.resolve()))
    renamed = {each.name: f"{each.name}-{_hash(each.value)}" for each in resources if each.is_generated}
    for each in resources:
        if each.is_generated:
            each.value["metadata"]["name"] = renamed[each.name]
        _refer(each.value, renamed)
    return [each.value for each in resources]


def _accumulate(folder: Path) -> Iterator[Resource]:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := set(kustomization) - KNOWN:
        raise ValueError(f"{folder}: {sorted(unknown)} cannot be rendered here")
    resources = [each for name in kustomization.get("resources", ()) for each in _read(folder / name)]
    resources += [_generate(folder, each) for each in kustomization.get("configMapGenerator", ())]
    for patch in kustomization.get("patches", ()):
        _patch(resources, yaml.safe_load((folder / patch["path"]).read_text()), patch.get("target"))
    for each in resources:
        if "namespace" in kustomization and each.kind != "Namespace":
            each.value["metadata"]["namespace"] = kustomization["namespace"]
        for label in kustomization.get("labels", ()):
            _label(each.value, label["pairs"])
        for image in kustomization.get("images", ()):
            _tag(each.value, image)
    yield from resources


def _read(path: Path) -> Iterator[Resource]:
    if path.is_dir():
        yield from _accumulate(path.resolve())
    else:
        yield from map(Resource, yaml.safe_load_all(path.read_text()))


def _generate(folder: Path, generator: dict[str, Any]) -> Resource:
    data = {name: (folder / name).read_text() for name in generator.get("files", ())}
    for name in generator.get("envs", ()):
        lines = (line.strip() for line in (folder / name).read_text().splitlines())
        data |= dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    metadata = {"name": generator["name"], **generator.get("options", {})}
    return Resource({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}, is_generated=True)


def _patch(resources: list[Resource], patch: Any, target: dict[str, str] | None) -> None:
    chosen = target or {"kind": patch["kind"], "name": patch["metadata"]["name"]}
    found = [
        each
        for each in resources
        if re.fullmatch(chosen.get("kind", ".*"), each.kind) and re.fullmatch(chosen.get("name", ".*"), each.name)
    ]
    if not found:
        raise ValueError(f"a patch applies to nothing: {chosen}")
    for each in found:
        if isinstance(patch, list):
            for operation in patch:
                _add(each.value, operation)
        else:
            each.value = _merge(each.value, patch)


def _add(value: Any, operation: dict[str, Any]) -> None:
    if operation["op"] != "add":
        raise ValueError(f"{operation['op']} cannot be rendered here")
    *way, last = operation["path"].split("/")[1:]
    for step in way:
        value = value[int(step)] if isinstance(value, list) else value[step]
    if last == "-":
        value.append(deepcopy(operation["value"]))
    else:
        value[last] = deepcopy(operation["value"])


def _merge(old: Any, new: Any) -> Any:
    """Merge as a strategic merge does: objects by key, lists of what has names by name; the rest is replaced."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merge(old.get(key), value) for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list) and all("name" in each for each in [*old, *new]):
        named = {each["name"]: each for each in old}
        return list((named | {each["name"]: _merge(named.get(each["name"]), each) for each in new}).values())
    return new


def _label(value: dict[str, Any], pairs: dict[str, str]) -> None:
    """Put labels on an object and on what it makes: the template of its pods, and a CronJob's of its jobs."""
    value.setdefault("metadata", {}).setdefault("labels", {}).update(pairs)
    for name in ("jobTemplate", "template"):
        if name in value.get("spec", {}):
            _label(value["spec"][name], pairs)


def _tag(value: Any, image: dict[str, str]) -> None:
    for each in within(value):
        if isinstance(each.get("image"), str) and each["image"].partition(":")[0] == image["name"]:
            each["image"] = f"{image['name']}:{image['newTag']}"


def _refer(value: Any, renamed: dict[str, str]) -> None:
    for each in within(value):
        for key in ("configMap", "configMapRef"):
            if isinstance(each.get(key), dict):
                each[key]["name"] = renamed.get(each[key]["name"], each[key]["name"])


def within(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in another, itself first."""
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from within(each)


def _hash(value: dict[str, Any]) -> str:
    # kustomize looks for the name under a path that leads nowhere, so that it has none.
    held = {"kind": value["kind"], "name": "", "data": value["data"]}
    # As Go writes JSON: without blanks, letters of other alphabets as they are, and three that HTML has a use for not.
    text = json.dumps(held, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return hashlib.sha256(text.encode()).hexdigest()[:10].translate(WITHOUT_VOWELS)

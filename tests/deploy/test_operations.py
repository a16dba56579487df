"""docs/operations.md: what it says to type exists, what it points to is there, its table is that of the code."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from tests.deploy import settings_table
from tests.deploy.manifests import objects
from worker.contract.settings import Settings, variable

PAGE = settings_table.PAGE
TEXT = PAGE.read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```", "", TEXT, flags=re.M | re.S)
#: a command within a line of a block or within `…`; what a shell would read as the end of it is none of it
TYPED = re.compile(r"(?:^|[\s/`(])shelver-(worker|trainer|producer)\b([^\n`;&|>()]*)", re.M)
#: of services whose image begins with a command
IN_COMPOSE = re.compile(r"docker compose run --rm (worker|trainer|producer)\b([^\n`;&|>]*)")
#: stands for a value, whatever its type
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*")


def lines() -> Iterator[tuple[str, str]]:
    for pattern in (TYPED, IN_COMPOSE):
        for process, rest in pattern.findall(TEXT):
            yield process, rest.partition(" #")[0].strip().rstrip(".,:")


def parse(process: str, typed: str) -> Any:
    """Read the line as the command itself would, but for placeholders and files; raises what it raises."""
    command = typer.main.get_command(importlib.import_module(f"{process}.cli").app)
    context = typer.Context(command, info_name=f"shelver-{process}")
    arguments = shlex.split(typed)
    while hasattr(command, "commands") and arguments:
        _, command, arguments = command.resolve_command(context, arguments)
        context = typer.Context(command, parent=context, info_name=command.name)
    if not arguments or command.context_settings.get("allow_extra_args"):  # only spoken of; or they are Celery's
        return command
    values, beyond, _ = command.make_parser(context).parse_args(list(arguments))
    assert not beyond, f"{beyond} is too much"
    for parameter in command.params:
        value = values.get(parameter.name)
        given = [each for each in (value if isinstance(value, list | tuple) else [value]) if isinstance(each, str)]
        if not any(PLACEHOLDER.fullmatch(each) or "/" in each for each in given):
            parameter.process_value(context, value)
    return command


@pytest.mark.parametrize(("process", "typed"), sorted(set(lines())), ids=" ".join)
def test_a_command_exists_with_its_options(process: str, typed: str) -> None:
    """Whoever copies a line from the page is not told that there is no such thing."""
    assert parse(process, typed).help


def test_commands_are_found() -> None:
    """Else the test before would be content with a page of which it reads nothing."""
    found = set(lines())
    assert len(found) > 40
    assert ("worker", "drain --timeout 600") in found


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("prune --no-such", "No such option: --no-such"),
        ("rejects lost", "No such command 'lost'"),
        ("lost", "No such command 'lost'"),
        ("prune --older-than many", "no age"),
        ("drain new lost", "lost"),
        ("status lost", "lost"),
        ("show --candidates 3", "Missing parameter: ids"),
    ],
)
def test_a_command_that_is_none_would_be_found(typed: str, told: str) -> None:
    """The same for one that is misspelt."""
    with pytest.raises(Exception, match=told):
        parse("worker", typed)


def test_the_table_of_settings_is_that_of_the_code() -> None:
    """Every variable, its default and its meaning; python -m tests.deploy.settings_table writes it anew."""
    assert settings_table.written() == TEXT


def test_what_the_page_points_to_is_there() -> None:
    """Files, headings within the page, and what it calls by a path of the project."""
    headings = re.findall(r"^#+ (.+)$", PROSE, re.M)
    anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
    for target in re.findall(r"\]\(([^)\s]+)\)", PROSE):
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith("http"):
            assert (PAGE.parent / target.partition("#")[0]).exists(), target
    paths = re.findall(r"\b((?:deploy|docs|tests|worker|producer|trainer)/[\w./-]+\w)", PROSE)
    assert paths
    for each in paths:
        assert (PAGE.parents[1] / each).exists(), each


def test_the_services_that_the_page_names_are_in_compose() -> None:
    """Whom `docker compose` is told to run, stop or look into."""
    services = yaml.safe_load((PAGE.parents[1] / "deploy/compose/compose.yaml").read_text())["services"]
    single = re.findall(r"docker compose (?:run --rm|exec(?: -T)?) (\S+)", TEXT)
    (stopped,) = re.findall(r"docker compose stop ([^\n]+)", TEXT)
    assert {*single, *stopped.split()} <= set(services)


def test_every_setting_that_the_page_names_is_one() -> None:
    """A slip of the pen would be believed."""
    known = {variable(name) for name in Settings.model_fields}
    assert set(re.findall(r"SHELVER_[A-Z_]*[A-Z]", TEXT)) <= known


def test_the_overlay_on_the_page_changes_what_is_there() -> None:
    """Its images, settings and patches are of objects that the base has; kubectl would refuse another."""
    (written,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.M | re.S)
    overlay = yaml.safe_load(written)
    (above,) = overlay["resources"]
    there = {(each["kind"], each["metadata"]["name"]) for each in objects(Path(above).name)}
    assert {(each["target"]["kind"], each["target"]["name"]) for each in overlay["patches"]} <= there
    base = yaml.safe_load((PAGE.parents[1] / "deploy/kubernetes/base/kustomization.yaml").read_text())
    for kind in ("images", "configMapGenerator"):
        assert {each["name"] for each in overlay[kind]} <= {each["name"] for each in base[kind]}
    literals = [literal for each in overlay["configMapGenerator"] for literal in each["literals"]]
    assert Settings(mongo_filter=literals[0].partition("=")[2]).listing_filter == {"status": "live"}

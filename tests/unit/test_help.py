"""--help of the three commands: each command is named, and each option explained."""

import importlib
from collections.abc import Iterator

import click
import pytest
import typer
from typer.testing import CliRunner

COMMANDS = {
    "worker": {
        *("run", "migrate", "show", "settings", "rejects", "predictions", "rollout"),
        *("pause", "resume", "drain", "status", "live", "ready", "exporter", "prune"),
    },
    "trainer": {
        *("index", "explore", "translate", "prepare", "configs", "fit", "evaluate", "compare", "predict"),
        *("publish", "versions", "canary", "promote", "rollback", "submit", "serve"),
    },
    "producer": {"load", "dump-new", "watch", "backfill", "reconcile", "enqueue", "api"},
}
#: of commands that are a group
WITHIN = {
    ("worker", "rejects"): {"list", "show", "replay", "drop"},
    ("worker", "rollout"): {"show", "canary", "shadow", "off", "report"},
    ("worker", "predictions"): {"summary", "compare", "disagreements", "drift"},
}
EVERY = [
    *((process, command) for process, commands in COMMANDS.items() for command in sorted(commands)),
    *((process, f"{group} {each}") for (process, group), inner in WITHIN.items() for each in sorted(inner)),
]


def app(process: str) -> typer.Typer:
    return importlib.import_module(f"{process}.cli").app


def said(process: str, *arguments: str) -> str:
    done = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).invoke(app(process), list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def find(process: str, command: str) -> click.Command:
    found = typer.main.get_command(app(process))
    for name in command.split():
        found = found.commands[name]
    return found


@pytest.mark.parametrize("process", COMMANDS)
def test_help_names_each_command(process: str) -> None:
    """Whoever types shelver-… --help sees all that it can do, and none is missing from this test."""
    told = said(process, "--help")
    assert f"Usage: shelver-{process} " in told
    assert set(typer.main.get_command(app(process)).commands) == COMMANDS[process]
    assert all(f" {command} " in told for command in COMMANDS[process])


@pytest.mark.parametrize(("process", "group"), WITHIN)
def test_help_of_a_group_names_each_command(process: str, group: str) -> None:
    """The same for commands of commands."""
    assert set(find(process, group).commands) == WITHIN[process, group]
    assert all(f" {command} " in said(process, group, "--help") for command in WITHIN[process, group])


@pytest.mark.parametrize(("process", "command"), EVERY)
def test_each_command_has_its_help(process: str, command: str) -> None:
    """The first line says what it does."""
    found = find(process, command)
    told = said(process, *command.split(), "--help")
    assert f"Usage: shelver-{process} {command} " in told
    assert found.help.splitlines()[0][:60] in told


def parameters() -> Iterator[tuple[str, str, str]]:
    for process, command in EVERY:
        for parameter in find(process, command).params:
            if parameter.name != "help":
                yield process, command, parameter.name


@pytest.mark.parametrize(("process", "command", "name"), list(parameters()), ids="-".join)
def test_each_option_is_explained(process: str, command: str, name: str) -> None:
    """No option has to be guessed at."""
    found = find(process, command)
    (parameter,) = [each for each in found.params if each.name == name]
    assert parameter.help

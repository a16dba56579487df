"""Every command in the manifests, probes included: taken by our own command lines, and not run."""

import importlib
from collections.abc import Iterator

import click
import pytest
import typer
from celery.bin.worker import worker as celery_worker

from tests.deploy.kustomize import within
from tests.deploy.manifests import OVERLAYS, workloads

APPS = {
    "shelver-worker": "worker.cli",
    "shelver-producer": "producer.cli",
    "python -m deploy.console": "deploy.console.__main__",
}
both = pytest.mark.parametrize("overlay", OVERLAYS)


def commands(overlay: str) -> Iterator[list[str]]:
    """Every command of ours, probes included."""
    for each in workloads(overlay):
        for container in each.containers:
            yield [*container["command"], *container.get("args", ())]
            yield from (part["exec"]["command"] for part in within(container) if "exec" in part)


@both
def test_each_command_is_one_of_ours(overlay: str) -> None:
    """Its name, options and arguments are what the command line takes."""
    assert set(filter(None, map(parsed, commands(overlay)))) == {
        *(f"shelver-worker {each}" for each in ("run", "live", "ready", "exporter", "migrate", "prune")),
        *(f"shelver-producer {each}" for each in ("watch", "api", "reconcile")),
        "python -m deploy.console",
    }


def parsed(words: list[str]) -> str | None:
    """Have the command line take the words, but do nothing; return the command, None when it is no program of ours."""
    program = next((each for each in APPS if words[: len(each.split())] == each.split()), None)
    if program is None:
        return None
    app = importlib.import_module(APPS[program]).app
    context = typer.main.get_command(app).make_context(program, words[len(program.split()) :])
    if not hasattr(context.command, "commands"):
        return program
    name, command, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
    context = command.make_context(name, rest, parent=context)
    if name == "run":  # which passes its options on
        celery_worker.make_parser(click.Context(celery_worker)).parse_args(context.args)
    return f"{program} {name}"

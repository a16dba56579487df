"""The command that lists what is published: versions."""

import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from worker.contract import settings as configuration
from worker.contract.address import checked

#: columns where the output is no terminal
WIDTH = 180


def _address(text: str) -> str:
    try:
        return checked(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from error


Models = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="the model server's folder")]
Name = Annotated[str | None, typer.Option(help="as TensorFlow Serving calls it; SHELVER_MODEL_NAME if left out")]
Server = Annotated[
    str | None,
    typer.Option(parser=_address, metavar="HOST:PORT", help="of the model server; SHELVER_SERVING_ADDRESS if left out"),
]


def versions(
    models: Models,
    name: Name = None,
    server: Server = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """List the versions of the model: labels, scores, whether folder and row are there, and what the server says.

    A version is listed when MODELS, the SQL store or the server has it. For workers to use it, it needs its row.
    """
    from trainer.publishing.versions import find

    settings = settings_for(name, server)
    found = find(models / settings.model_name, settings)
    if as_json:
        typer.echo(json.dumps({"model": settings.model_name, **asdict(found)}, indent=1, default=datetime.isoformat))
        return
    from rich.console import Console

    from trainer.publishing.versions_table import table

    if not found.versions:
        typer.echo(f"no version of {settings.model_name} is known: shelver-trainer publish makes one")
    else:
        Console(width=None if sys.stdout.isatty() else WIDTH).print(table(found))
    for problem in found.problems():
        typer.echo(f"warning: {problem}", err=True)


def settings_for(name: str | None, server: str | None) -> configuration.Settings:
    """Return the settings with the model and the server that the options name."""
    settings = configuration.load()
    changes = {"model_name": name, "serving_address": server}
    return settings.model_copy(update={key: value for key, value in changes.items() if value})


COMMANDS = (versions,)

"""python -m deploy.images.slim TARGET: a virtual environment with what an image runs, and nothing besides.

tensorflow-serving-api requires all of TensorFlow, 1.3 GB, of which workers import a few protobuf messages and no code
(worker/contract/serving_api.py). So this copies every distribution that some extras of shelver require, from the
environment it runs in, but of TensorFlow those messages alone, and nothing that only TensorFlow requires.
"""

import shutil
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from deploy.images.distributions import PROJECT, CannotBuild, required
from deploy.images.files import File, files
from worker.contract.command import run

#: of shelver: what the image of workers and producers runs
SERVICE = "worker,producer,api,traces"
MEGABYTE = 10**6
SCRIPT = """#!{python}
import sys
from {module} import {function}
sys.exit({function}())
"""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def slim(
    target: Annotated[Path | None, typer.Argument(help="folder of the environment, which is made")] = None,
    extras: Annotated[str, typer.Option(help="extras of shelver whose commands it runs, with commas")] = SERVICE,
) -> None:
    """Copy what some extras of shelver require from the environment that runs this to a slim one, and tell the sizes.

    Of TensorFlow those protobuf messages go along that the others import. Without a target nothing is copied.
    """
    found = files(required(extras.split(",")))
    if target:
        build(target, found)
    sizes = {name: sum(file.source.stat().st_size for file in each) for name, each in found.items()}
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        typer.echo(f"{sizes[name] / MEGABYTE:>9.1f} MB {len(found[name]):>7,} files  {name}")
    count = sum(map(len, found.values()))
    typer.echo(f"{sum(sizes.values()) / MEGABYTE:>9.1f} MB {count:>7,} files  together")


def build(target: Path, found: Mapping[str, list[File]]) -> None:
    """Make a virtual environment of these files, by distribution, with shelver's own commands in bin.

    Raises CannotBuild when there is something in the target.
    """
    if target.exists() and any(target.iterdir()):
        raise CannotBuild(f"{target} is not empty: name a folder that is, or none")
    venv.EnvBuilder(symlinks=True).create(target)
    base = {"base": str(target), "platbase": str(target)}
    packages = Path(sysconfig.get_path("purelib", "venv", base))
    for file in (each for group in found.values() for each in group):
        copy = packages / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file.source, copy)
    _write_commands(target / "bin", packages)


def _write_commands(folder: Path, packages: Path) -> None:
    for point in PROJECT.entry_points.select(group="console_scripts"):
        if (packages / point.module.partition(".")[0]).is_dir():
            script = folder / point.name
            text = SCRIPT.format(python=folder.absolute() / "python", module=point.module, function=point.attr)
            script.write_text(text)
            script.chmod(0o755)


if __name__ == "__main__":
    run(app)

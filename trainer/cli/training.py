"""The commands that train: configs, fit."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from trainer.cli.progress import Training

RunFolder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="a folder that `fit` made")]


def configs(
    name: Annotated[str | None, typer.Argument(help="show one, whole")] = None,
) -> None:
    """List the experiments that come with Shelver: what each is, how to run it, and what to expect.

    A config is a Python file that sets CONFIG; copy one and change it, or change single fields with fit's --set.
    """
    from trainer.config import load, names

    if name:
        shown = load(name)
        typer.echo(f"{shown.description}\n\n{shown.config.model_dump_json(indent=2)}")
        return
    width = max(map(len, names()))
    for each in names():
        typer.echo(f"{each:{width}}  {load(each).description.splitlines()[0]}")


def fit(
    config: Annotated[str, typer.Argument(help="a name (see configs) or a file")],
    data: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="a folder that `prepare` made")],
    run: Annotated[Path, typer.Option(file_okay=False, help="folder to write the run to")],
    devices: Annotated[
        Literal["one", "all", "cluster"],
        typer.Option(help="one device, all GPUs of this machine, or the machines that TF_CONFIG names"),
    ] = "one",
    weights: Annotated[
        str | None, typer.Option(help="imagenet, none, or a file, in place of the config's weights")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="in place of the config's seed")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="FIELD=VALUE in place of the config's; e.g. phases.0.epochs=5")
    ] = None,
    deterministic: Annotated[
        bool, typer.Option(help="the same seed, the same weights; --no-deterministic may be faster on a GPU")
    ] = True,
) -> None:
    """Train a config on prepared data. Interrupted or killed, the same command goes on, to the same history.

    RUN/logs is for TensorBoard, RUN/history.json has a record an epoch. The validation split decides when to stop and
    which epoch is kept; the test split is not looked at. With --devices cluster every machine runs the same command on
    the same (shared) folders.
    """
    from trainer.config import load

    fields = {name: value for name, value in (("weights", weights), ("seed", seed)) if value is not None}
    named = load(config, changes or (), **fields)
    import tensorflow as tf

    from trainer.data import Data
    from trainer.training.devices import Devices, strategy_for
    from trainer.training.fit import fit as train

    strategy = strategy_for(Devices(devices))
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    with Training() as reporter:
        made = train(named, Data.open(data), run, strategy, reporter)
    typer.echo(f"{made.folder}: {made.backbone}, {len(made.classes)} categories; next: shelver-trainer evaluate")


COMMANDS = (configs, fit)

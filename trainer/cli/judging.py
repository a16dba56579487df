"""The commands that judge what was trained: evaluate, compare, predict."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.progress import counting
from trainer.cli.training import RunFolder

#: columns where the output is no terminal: the table is not folded to the 80 that rich takes then
WIDTH = 180


def evaluate(
    run: RunFolder,
    data: Annotated[
        Path | None, typer.Option(file_okay=False, help="where the run's prepared data are now, if they have moved")
    ] = None,
    precision: Annotated[
        list[float],
        typer.Option(
            min=0.0, max=1.0, help="share that must be right above a level's threshold; once, or for levels 1, 2, 3"
        ),
    ] = [0.95],  # noqa: B006  (Typer copies it)
) -> None:
    """Judge a run on the products it was not trained on: RUN/evaluation/report.html, scores.json and categories.csv.

    Temperature and thresholds are chosen on the validation split; all scores are of the test split, product by
    product. The run keeps them, for `compare` and `publish`.
    """
    from trainer.evaluation.answers import TOP
    from trainer.evaluation.comparison import table_of_scores
    from trainer.evaluation.evaluate import evaluate as judge
    from trainer.evaluation.evaluate import open_data
    from trainer.publishing.publish import open_classifier
    from trainer.run import Run

    opened = Run.open(run)
    if len(precision) not in (1, opened.level):
        raise typer.BadParameter(f"give one for all levels, or {opened.level}", param_hint="--precision")
    each_level = precision if len(precision) > 1 else precision * opened.level
    targets = dict(enumerate(each_level, start=1))
    prepared = open_data(opened, data)
    with counting() as track:
        report = judge(opened, prepared, open_classifier(opened, TOP), targets, track)
    _print(table_of_scores(opened))
    typer.echo(f"{report} has the plots, the worst confusions and every category")


def compare(
    runs: Annotated[list[Path], typer.Argument(exists=True, file_okay=False, help="folders that `fit` made")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Print the scores of runs side by side, as `evaluate` measured them, in the order given."""
    from trainer.evaluation.comparison import row, table
    from trainer.run import Run

    rows = [row(Run.open(each)) for each in runs]
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    _print(table(rows))
    for each in rows:
        if not each["evaluated"]:
            typer.echo(f"{each['run']} is not evaluated yet: shelver-trainer evaluate {each['run']}", err=True)


def predict(
    run: RunFolder,
    pictures: Annotated[list[str], typer.Argument(help="image files, or http(s) addresses of images")],
    together: Annotated[
        bool, typer.Option("--together", help="the pictures show one product: rank by their mean")
    ] = False,
) -> None:
    """Print the four best categories at each level for any picture: a file of any usual kind, or an address.

    An address is fetched within 10 s and 8 MiB. Pictures are turned upright, put on white and resized as for training.
    """
    import numpy as np

    from trainer.prediction.picture_source import open_picture
    from trainer.prediction.pixels import to_pixels
    from trainer.run import Run

    opened = Run.open(run)
    pixels = []
    for each in pictures:  # before TensorFlow is loaded: a wrong name is told at once
        with open_picture(each) as file:
            pixels.append(to_pixels(file, each, opened.picture_side))
    from trainer.prediction.predict import TOP, table
    from trainer.prediction.predict import predict as rank
    from trainer.publishing.publish import open_classifier

    ranked = rank(open_classifier(opened, TOP), opened.taxonomy, opened.level, np.stack(pixels), together)
    for names, product in zip([pictures] if together else [[each] for each in pictures], ranked, strict=True):
        _print(table(names, product))


def _print(table: object) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


COMMANDS = (evaluate, compare, predict)

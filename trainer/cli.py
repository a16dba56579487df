"""shelver-trainer: from a dump to a published model, and a model server for one machine."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

# Before TensorFlow is imported: its start-up notices would bury what the command says.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from worker.contract import settings as configuration
from worker.contract.command import run as run_command

app = typer.Typer(
    name="shelver-trainer",
    help="Train a classifier on a CDiscount dump, judge it, publish it for TensorFlow Serving; and serve it on one "
    "machine. TensorFlow is loaded by the command that needs it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
logging.getLogger("absl").setLevel(logging.WARNING)  # TensorFlow and Keras announce what they rename and write

RunFolder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="a folder that `fit` made")]


@contextmanager
def _progress() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bars:

        def track(what: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(what, total=total)
            return lambda count: bars.advance(task, count)

        yield track


@app.command()
def fit(
    dump: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="a BSON dump with categories, e.g. train.bson")
    ],
    categories: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="category_names.csv")],
    run: Annotated[Path, typer.Option(file_okay=False, help="folder to write the run to")] = Path("runs/lite0"),
    seed: Annotated[int, typer.Option(help="decides split and training; the same seed, the same split")] = 1,
    held_out: Annotated[float, typer.Option(min=0, max=0.9, help="share of the products to judge the model by")] = 0.1,
    epochs: Annotated[int, typer.Option(min=1, help="of the head, over all pictures")] = 40,
    weights: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Lite0 weights in place of the packaged ImageNet ones"),
    ] = None,
    tolerate: Annotated[
        bool, typer.Option("--tolerate", help="accept a damaged dump: exit 0 with what was sound")
    ] = False,
) -> None:
    """Train a softmax head on a frozen EfficientNet-Lite0; products with a common picture are held out together."""
    from trainer.fit import Recipe
    from trainer.fit import fit as train

    recipe = Recipe(seed=seed, held_out=held_out, epochs=epochs, weights=weights)
    with _progress() as track:
        made, reading = train(dump, categories, run, recipe, track)
    typer.echo(f"{made.folder}: {len(made.classes)} categories, {made.counts}")
    if reading.damage and not tolerate:
        raise reading.damage


@app.command()
def evaluate(run: RunFolder) -> None:
    """Judge a run on its held-out products, product-wise, and keep the scores in the run."""
    from trainer.evaluate import evaluate as judge
    from trainer.publish import open_classifier
    from trainer.run import Run

    opened = Run.open(run)
    with _progress() as track:
        opened.metrics = judge(opened, open_classifier(opened), track("judging", len(opened.held_out)))
    opened.write()
    for name, value in opened.metrics.items():
        typer.echo(f"{name:12} {value:.4g}")


@app.command()
def publish(
    run: RunFolder,
    models: Annotated[
        Path, typer.Argument(file_okay=False, help="the model server's folder; NAME/VERSION is made in it")
    ],
    name: Annotated[
        str | None, typer.Option(help="as TensorFlow Serving calls it; SHELVER_MODEL_NAME if left out")
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, max=2**31 - 1, help="the next free one when left out")] = None,
    top_k: Annotated[int, typer.Option(min=5, max=100, help="ranked categories a product gets, at each level")] = 10,
) -> None:
    """Write MODELS/NAME/VERSION for TensorFlow Serving and register it in the SQL store (SHELVER_DATABASE_URL)."""
    from trainer.publish import open_classifier
    from trainer.publish import publish as write
    from trainer.run import Run

    settings = configuration.load()
    opened = Run.open(run)
    classifier = open_classifier(opened, top_k)
    folder = write(opened, classifier, models, name or settings.model_name, version, settings.database_url)
    typer.echo(f"{folder} is published and registered in {configuration.redact(settings.database_url)}")


@app.command()
def serve(
    models: Annotated[Path, typer.Argument(file_okay=False, help="folder with NAME/VERSION/saved_model.pb")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="gRPC port; 0 chooses a free one")] = 8500,
    host: Annotated[str, typer.Option(help="address to listen on; loopback keeps it on this machine")] = "127.0.0.1",
) -> None:
    """Serve the newest version of every model in a folder, over TensorFlow Serving's gRPC API.

    For one machine: development, the demo, the tests. Production runs tensorflow/serving, which batches requests
    and uses GPUs; every client works with both, unchanged.
    """
    from trainer.serve.server import serve as serve_models

    serve_models(models, host, port)


def main() -> NoReturn:
    """Run the command line."""
    run_command(app)

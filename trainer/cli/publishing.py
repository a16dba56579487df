"""The commands that hand a model on: publish, submit, serve."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from trainer.cli.dumps import Dump, Tolerate
from trainer.cli.progress import measuring
from trainer.cli.rollout import trial
from trainer.cli.training import RunFolder
from trainer.serve.pace import Pace
from trainer.submission.submit import Answers, check_level
from trainer.submission.submit import submit as write_submission
from worker.contract import settings as configuration
from worker.contract.urls import redact

#: as trainer.publishing.labels has them
Label = Literal["canary", "stable"]


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
    label: Annotated[
        Label | None, typer.Option(help="put this label on it, in MODELS/models.config, if no version has it")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check everything, say what would be written, and write nothing")
    ] = False,
) -> None:
    """Write MODELS/NAME/VERSION for TensorFlow Serving and register it in the SQL store (SHELVER_DATABASE_URL).

    A version is never overwritten. The scores and thresholds that `evaluate` measured go along.

    With --label, MODELS/models.config serves exactly the labelled versions of the model; start the server with
    --model_config_file=MODELS/models.config --model_config_file_poll_wait_seconds=30
    --allow_version_labels_for_unavailable_models. Label the very first version stable, and later ones canary; a label
    that another version has is moved by the commands canary, promote and rollback, once the server has loaded the
    version.
    """
    from trainer.publishing.publish import open_classifier, plan
    from trainer.publishing.publish import publish as write
    from trainer.run import Run

    settings = configuration.load()
    opened, name = Run.open(run), name or settings.model_name
    classifier = open_classifier(opened, top_k)
    planned = plan(opened, models, name, version, settings.database_url, label)
    for warning in planned.warnings:
        typer.echo(f"warning: {warning}", err=True)
    store = redact(settings.database_url)
    if dry_run:
        typer.echo(f"{planned.folder} would be published and registered in {store}")
    else:
        folder = write(opened, classifier, models, name, planned.version, settings.database_url, label)
        typer.echo(f"{folder} is published and registered in {store}")
    if label:
        typer.echo(f"{label} {'would be' if dry_run else 'is'} version {planned.version} in {models / 'models.config'}")
    if label != "stable":
        following = trial(models, planned.version) if label else f"shelver-trainer canary {models} {planned.version}"
        typer.echo(f"next: {following}")


def submit(
    dump: Dump,
    output: Annotated[
        Path, typer.Option("--output", "-o", dir_okay=False, help="file to write; gzipped when it ends in .gz")
    ],
    run: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="predict with the network of this run")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="take this model's predictions from SQL; SHELVER_MODEL_NAME if left out")
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="of the model; the newest when left out")] = None,
    tolerate: Tolerate = False,
) -> None:
    """Write Kaggle's file: _id,category_id, a row for every product of a dump, in its order.

    With --run the pictures go through the run's network; otherwise the predictions that workers stored are taken
    (SHELVER_DATABASE_URL). A product without a prediction gets the most frequent category (with --run, of those before
    it), and is counted.
    """
    if run and (model or version):
        raise typer.BadParameter("a run is no model in SQL: leave --model and --version out", param_hint="--run")
    with _answers(run, model, version) as answers, measuring() as track:
        made = write_submission(dump, output, answers, track("predicting", dump.stat().st_size), tolerate)
    for line in made.lines():
        typer.echo(f"{output}: {line}")
    if made.pages.damage:
        typer.echo(f"warning: {made.pages.damage}", err=True)


@contextmanager
def _answers(run: Path | None, model: str | None, version: int | None) -> Iterator[Answers]:
    """Give who knows the categories for `submit`: a run, or else a model's predictions in SQL."""
    from trainer.run import Run

    if run:
        opened = Run.open(run)
        check_level(opened.level, str(run))
        from trainer.publishing.publish import open_classifier
        from trainer.submission.run_answers import RunAnswers

        yield RunAnswers(open_classifier(opened, 1), opened.classes[0])
        return
    from trainer.submission.stored_answers import StoredAnswers
    from worker.contract.database import Database

    settings = configuration.load()
    with closing(Database(settings.database_url)) as database:
        yield StoredAnswers(database, model or settings.model_name, version)


def _pace(text: str) -> Pace:
    try:
        return Pace.read(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def serve(
    models: Annotated[Path, typer.Argument(file_okay=False, help="folder with NAME/VERSION/saved_model.pb")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="gRPC port; 0 chooses a free one")] = 8500,
    host: Annotated[str, typer.Option(help="address to listen on; loopback keeps it on this machine")] = "127.0.0.1",
    config: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="serve the models and labels of this file (models.config), read on change"
        ),
    ] = None,
    ssl_config_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="speak TLS as this file says: TensorFlow Serving's SSLConfig"),
    ] = None,
    pace: Annotated[
        Pace | None,
        typer.Option(
            parser=_pace,
            metavar="ALPHA,BETA",
            help="compute nothing: answer each request after ALPHA + BETA x its pictures ms, one at a time. "
            "For benchmarks, never for production",
        ),
    ] = None,
) -> None:
    """Serve the newest version of every model in a folder, over TensorFlow Serving's gRPC API.

    For one machine: development, the demo, the tests. Production runs tensorflow/serving, which batches requests
    and uses GPUs; every client works with both, unchanged.

    With --pace the server stands in for a GPU, to measure what is around it: --pace 5,0.361 takes 51.2 ms for 128
    pictures, which is 2,500 pictures a second, and --pace 0,0 no time at all. Answers have the right form, so that
    workers store them, but they are not the model's: all products get the categories of one black picture.
    """
    from trainer.serve.server import serve as serve_models

    serve_models(models, host, port, config_file=config, ssl_config_file=ssl_config_file, pace=pace)


COMMANDS = (publish, submit, serve)

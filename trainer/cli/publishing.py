"""The commands that hand a model on: publish, submit, serve."""

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.training import RunFolder
from worker.contract import settings as configuration


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


COMMANDS = (publish, serve)

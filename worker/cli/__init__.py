"""shelver-worker: classify pages, keep the store, handle rejects, and say and steer what the workers do."""

from typing import NoReturn

import typer

from worker.cli import exporting, health, predictions, pruning, queues, rejects, rollout
from worker.cli import main as basics
from worker.contract.command import run as run_command

app = typer.Typer(
    name="shelver-worker",
    help="Classify newly listed products: pages of ids from Redis, pictures from MongoDB, answers from TensorFlow "
    "Serving, rows in SQL. Everything is set by SHELVER_ variables; `shelver-worker settings` lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(basics.run)  # Celery's own
app.command()(basics.migrate)
app.command(context_settings={"ignore_unknown_options": True})(basics.show)  # an id may be negative
app.add_typer(rejects.app)
app.add_typer(predictions.app)
app.add_typer(rollout.app)
for command in (*queues.COMMANDS, *health.COMMANDS, *exporting.COMMANDS, *pruning.COMMANDS, basics.settings):
    app.command()(command)


def main() -> NoReturn:
    """Run the command line."""
    run_command(app)

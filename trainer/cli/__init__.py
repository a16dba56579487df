"""shelver-trainer: from a dump to a published model, and a model server for one machine."""

import logging
import os
from typing import NoReturn

# Before TensorFlow is imported: its start-up notices would bury what the command says.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import typer

from trainer.cli import dumps, judging, looking, publishing, rollout, training, versions
from worker.contract.command import run as run_command

app = typer.Typer(
    name="shelver-trainer",
    help="From a CDiscount dump to a measured, published model: index, explore, translate, prepare, fit, evaluate, "
    "compare, predict, publish, submit; roll it out: versions, canary, promote, rollback; and serve it on one machine. "
    "TensorFlow is loaded by the command that needs it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
logging.getLogger("absl").setLevel(logging.WARNING)  # TensorFlow and Keras announce what they rename and write

for commands in (dumps, looking, training, judging, publishing, versions, rollout):
    for command in commands.COMMANDS:
        app.command()(command)


def main() -> NoReturn:
    """Run the command line."""
    run_command(app)

"""The commands that train and judge: fit, evaluate, compare, predict."""

from pathlib import Path
from typing import Annotated

import typer

RunFolder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="a folder that `fit` made")]

COMMANDS = ()

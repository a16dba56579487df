"""What the three commands share: how they log, and how errors are told."""

import logging
import sys
from typing import NoReturn

import typer

from worker.contract import traces
from worker.contract.errors import ShelverError

INTERRUPTED = 130


def run(app: typer.Typer) -> NoReturn:
    """Run a command; a ShelverError becomes one line on stderr and exit code 1, Ctrl-C exit code 130."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        app()
    except ShelverError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        traces.close()
    sys.exit(0)

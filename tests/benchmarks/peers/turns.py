"""How a peer is told what to do: by lines on its standard input."""

import json
import sys
import time
from collections.abc import Callable

#: of the JSON in which a peer says how long it took
SECONDS = "seconds"


def take(run: Callable[[int], object]) -> None:
    """Say that it is ready; for each line with a number, classify so many products, ids from 0 on, and say the time.

    `run` returns when all rows are in PostgreSQL.
    """
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        run(int(line))
        print(json.dumps({SECONDS: time.perf_counter() - started}), flush=True)

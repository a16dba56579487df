"""A SavedModel called directly, with no server and no line around it: what the line is measured by.

python -m tests.benchmarks.performance.programs.direct_calls VERSION_FOLDER PICTURES_FOLDER
"""

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.benchmarks.performance.programs.program import answer
from trainer.serve.predict import LoadedModel
from worker.contract.signature import Signature

#: of the first call, at which the graph is optimised; for each size it was warmed when it was loaded
WARMING_BATCH = 8
#: input -> rows
Feed = dict[str, np.ndarray]


def main() -> None:
    """Load a version as our model server does, decode the pictures, and call it when asked to."""
    version, folder = map(Path, sys.argv[1:])
    model = LoadedModel.load(version.parent.name, int(version.name), version)
    paths = sorted(folder.iterdir())
    rows = {
        "pixels": np.stack([np.asarray(Image.open(path)) for path in paths]),
        "jpeg": np.fromiter((path.read_bytes() for path in paths), np.object_, len(paths)),
    }
    calls = {"pixels": _caller(model, Signature.PIXELS), "jpeg": _caller(model, Signature.JPEG)}
    for name, call in calls.items():
        call(_feeds(name, rows[name], WARMING_BATCH)[0])

    def measure(signature: str, batch: int, in_flight: int, seconds: float) -> dict[str, float]:
        feeds = _feeds(signature, rows[signature], batch)
        return _rate(calls[signature], feeds, batch, in_flight, seconds)

    answer(measure)


def _caller(model: LoadedModel, kind: Signature) -> Callable[[Feed], Any]:
    """Return what runs a signature's graph on a feed, for all outputs."""
    session, signature = model._session, model.signatures[kind.value]
    named = session.graph.get_tensor_by_name
    wanted = [named(info.name) for info in signature.outputs.values()]
    inputs = {alias: named(info.name) for alias, info in signature.inputs.items()}
    run = session.make_callable(wanted, list(inputs.values()))
    return lambda feed: run(*(feed[alias] for alias in inputs))


def _feeds(name: str, rows: np.ndarray, batch: int) -> list[Feed]:
    """Cut the pictures into batches, each picture of a product of its own."""
    owners = {"product": np.arange(batch), "picture": np.zeros(batch, np.int32)}
    return [{name: rows[start : start + batch], **owners} for start in range(0, len(rows) - batch + 1, batch)]


def _rate(
    call: Callable[[Feed], Any], feeds: Sequence[Feed], batch: int, in_flight: int, seconds: float
) -> dict[str, float]:
    """Call for so long from so many threads; return what came of it."""
    started, cpu = time.perf_counter(), time.process_time()

    def work(first: int) -> int:
        done = 0
        for feed in islice(cycle(feeds), first, None):
            call(feed)
            done += batch
            if time.perf_counter() - started >= seconds:
                return done
        raise AssertionError("a cycle has no end")

    with ThreadPoolExecutor(in_flight) as threads:
        pictures = sum(threads.map(work, range(in_flight)))
    taken, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {"pictures_per_second": pictures / taken, "cpu_seconds_a_picture": cpu / pictures, "seconds": taken}


if __name__ == "__main__":
    main()

"""How near `load` comes to what MongoDB takes in: the same documents, in memory already, by insert_many alone."""

import gzip
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import zstandard
from bson.raw_bson import RawBSONDocument

from deploy.local import servers
from deploy.local.processes import Processes
from producer.dumps.insertion import raw
from producer.dumps.load import Load
from producer.dumps.portion import BATCH_DOCUMENTS, Portion
from producer.listings import Listings, open_listings
from tests.benchmarks import dumps
from tests.benchmarks.goals import Goal, ratio
from worker import schema
from worker.contract.dump import read
from worker.contract.settings import Settings

#: 30,000 products and a little more
DUMP_BYTES = 250e6
ROUNDS = 7


def measure(rounds: int = ROUNDS) -> tuple[Goal, dict[str, Any]]:
    """Return the rate of `load` over that of insert_many, batches alike, and what else was measured."""
    with tempfile.TemporaryDirectory() as name, _mongod(Path(name)) as url:
        folder = Path(name)
        settings = Settings(mongo_url=url, database_url=f"sqlite:///{folder / 'store.db'}")
        schema.migrate(settings)
        plain, _ = dumps.draw(folder, DUMP_BYTES)
        with open_listings(settings) as listings:
            return _compare(listings, settings, plain, _compressed(plain), rounds)


def _compare(
    listings: Listings, settings: Settings, plain: Path, compressed: list[Path], rounds: int
) -> tuple[Goal, dict[str, Any]]:
    documents = [RawBSONDocument(record.raw) for record in read(plain)]
    works: dict[str, Callable[[], object]] = {"insert_many": lambda: _insert(listings, documents)}
    for path in (plain, *compressed):
        works[path.suffix[1:]] = lambda path=path: _load(listings, settings, path)
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name in list(works)[:: 1 if turn % 2 else -1]:
            times[name].append(_seconds(listings, works[name], len(documents)))
    times = {name: each[1:] for name, each in times.items()}  # the first warmed up
    size, bare = plain.stat().st_size, times["insert_many"]
    goal = Goal("producer.load_of_raw_insert_many", ratio(bare, times["bson"]), ">=", 0.5)
    return goal, {
        "documents": len(documents),
        "bytes": size,
        "rounds": rounds,
        "megabytes_per_second": {name: size / 1e6 / median(each) for name, each in times.items()},
        "of_raw_insert_many": {name: ratio(bare, each) for name, each in times.items() if each is not bare},
        "file_bytes": {path.suffix[1:]: path.stat().st_size for path in (plain, *compressed)},
    }


def _compressed(plain: Path) -> list[Path]:
    """Write it as gzip and as zstd, each at its usual level."""
    paths = [plain.with_suffix(".gz"), plain.with_suffix(".zst")]
    paths[0].write_bytes(gzip.compress(plain.read_bytes(), 6))
    paths[1].write_bytes(zstandard.compress(plain.read_bytes()))
    return paths


@contextmanager
def _mongod(folder: Path) -> Iterator[str]:
    processes = Processes(folder / "logs")
    try:
        yield servers.mongo(processes, folder / "mongo")
    finally:
        processes.stop()


def _seconds(listings: Listings, work: Callable[[], object], documents: int) -> float:
    """Return how long it takes on a collection that is not there; all documents must be in it afterwards."""
    listings.drop()
    start = time.perf_counter()
    work()
    taken = time.perf_counter() - start
    assert listings.estimated_document_count() == documents
    return taken


def _insert(listings: Listings, documents: Sequence[RawBSONDocument]) -> None:
    target = raw(listings)
    for start in range(0, len(documents), BATCH_DOCUMENTS):
        target.insert_many(documents[start : start + BATCH_DOCUMENTS], ordered=False)


def _load(listings: Listings, settings: Settings, path: Path) -> None:
    with closing(Load(listings, settings, Portion(path), threading.Event())) as loading:
        loading.begin()
        loading.run()


if __name__ == "__main__":
    reached, details = measure()
    print(reached, details, sep="\n")

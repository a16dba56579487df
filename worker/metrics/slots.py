"""Metrics of a worker with children: each place in its pool has files of its own, and the main process serves them all.

prometheus_client would name a process' files after its number: the counts of a child that was replaced would stay in
files that nobody removes. Named after the place in the pool, they are gone on with by whoever takes the place, so
that counters never fall and files do not pile up.

The main process forks while a thread of it answers scrapes. That thread only reads files: it takes no lock that
a child could find held for ever. Values are written by each process' main thread alone.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from worker.contract.exposition import Exposition
from worker.contract.settings import Settings
from worker.metrics import observe
from worker.metrics.definitions import Metrics

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

#: where prometheus_client looks for it
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
#: as prometheus_client names the files of those kinds of metrics that we have
KINDS = ("counter", "histogram", "gauge_mostrecent")
#: set aside for each file: a write into a file that finds the disk full would be the end of the process. Histograms
#: of one model version and side take some 8 kB.
FILE_BYTES = 512 * 1024


def start(settings: Settings) -> None:
    """Serve this worker's metrics where SHELVER_METRICS_PORT says, if it does; call it before children are forked.

    Raises CannotServe when the port is taken. Where the files of any process cannot be written, metrics are off for
    all, which is said once.
    """
    if not settings.metrics_port:
        return
    exposition = Exposition(settings.metrics_host, settings.metrics_port, "choose with SHELVER_METRICS_HOST and _PORT")
    # Whoever has the port has the folder.
    folder = Path(settings.state_folder).absolute() / f"metrics-{settings.metrics_port}"
    os.environ[FOLDER] = str(folder)
    try:
        _empty(folder)
        observe.turn_on(_shared())
        observe.worker_started()
    except OSError as error:
        exposition.server_close()
        observe.turn_off(error)
        return
    exposition.start(_summed(folder, exposition))


def begin_child(**_: object) -> None:
    """Go over to the files of this child's place, before its first page: no time limit can strike yet."""
    if observe.is_on():
        try:
            _set_aside()
        except OSError as error:
            observe.turn_off(error)
    observe.child_started()
    observe.child_memory()  # one that gets no page for a while has a size, too


def _summed(folder: Path, exposition: Exposition) -> "CollectorRegistry":
    """Return a registry of the sums over all processes; once those of one are lost, nobody answers any more."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector
    from prometheus_client.registry import Collector

    files = MultiProcessCollector(None, str(folder))

    class Summed(Collector):
        def collect(self) -> "Iterator[Metric]":
            if observe.are_lost():
                exposition.close()
            else:
                yield from files.collect()

    registry = CollectorRegistry()
    registry.register(Summed())
    return registry


def _shared() -> Metrics:
    """Return metrics whose values are in the files of whichever process sets them."""
    from prometheus_client import CollectorRegistry, values

    _set_aside()
    values.ValueClass = values.MultiProcessValue(observe.slot)  # what metrics are made of from now on
    return Metrics(CollectorRegistry())


def _set_aside() -> None:
    """Make this process' files, unless its predecessor has; raises OSError when there is no room."""
    for kind in KINDS:
        path = Path(os.environ[FOLDER], f"{kind}_{observe.slot()}.db")
        if not path.exists():
            partial = path.with_suffix(".part")  # a scrape must not come upon an empty file
            with partial.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, FILE_BYTES)
            partial.rename(path)


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        for path in folder.glob(f"{kind}_*"):
            path.unlink()

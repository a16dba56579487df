"""What a worker's child has in RAM while it works, seen twice a second from a thread beside."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import psutil

from tests.benchmarks.performance.line import Catalog, serve
from tests.benchmarks.performance.paces import FREE
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.workers import worker
from tests.benchmarks.producer.line import Line

SAMPLE_SECONDS = 0.5
#: of the samples, in the plot
SHOWN = 40
#: what a worker has imported when it forks, and what that takes in bytes
IMPORTS = """
import psutil, worker.cli, worker.logs, worker.schema, worker.tasks, celery.bin.worker, celery.concurrency.prefork
worker.tasks.app.finalize()
print(psutil.Process().memory_info().rss)
"""


@dataclass
class Resident:
    """One process, one run."""

    process: psutil.Process
    #: bytes, those that it shares with others counted whole (RSS), and counted in parts (PSS)
    whole: list[int] = field(default_factory=list)
    shared_out: list[int] = field(default_factory=list)

    def note(self) -> None:
        """Look once."""
        found = self.process.memory_full_info()
        self.whole.append(found.rss)
        self.shared_out.append(found.pss)

    def figures(self, count: int) -> Figures:
        """Return what is told of a run over so many products, which went by at an even pace."""
        quarter = max(1, len(self.whole) // 4)
        shown = range(0, len(self.whole), 1 + len(self.whole) // SHOWN)
        return {
            "products": count,
            "megabytes": self._peak_bytes() / 1e6,
            "sampled_megabytes": max(self.whole) / 1e6,
            "shared_out_megabytes": max(self.shared_out) / 1e6,
            "growth": fmean(self.whole[-quarter:]) / fmean(self.whole[quarter : 2 * quarter]),
            "memory": [[count * at // len(self.whole), round(self.whole[at] / 1e6, 2)] for at in shown],
        }

    def _peak_bytes(self) -> int:
        """Return the most that it ever had, between samples too, as the kernel kept count."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        return 1024 * int(kilobytes)


@contextmanager
def resident(process: psutil.Process) -> Iterator[Resident]:
    """Give what is being noted of a process; it must outlive this."""
    noted, over = Resident(process), threading.Event()

    def look() -> None:
        while not over.wait(SAMPLE_SECONDS):
            noted.note()

    noted.note()
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield noted
    finally:
        over.set()
        thread.join()
        noted.note()


def child(servers: Line, served: Catalog, signature: str, products: int) -> Figures:
    """Have a worker's only child predict so many products, beside a model that takes no time."""
    settings = serve(servers, served, pace=FREE).model_copy(
        # a child that is replaced on the way begins anew, and its growth would say nothing
        update={"signature": signature, "pages_per_child": 2 * products}
    )
    with worker(servers, served, settings) as running:
        [only] = psutil.Process(running.process.pid).children(recursive=True)
        with resident(only) as noted:
            # the same ones again and again, all that is known of them being forgotten between
            runs = [running.classify(served.ids) for _ in range(0, products, len(served.ids))]
        done = sum(each.products for each in runs)
        return {"per_second": done / sum(each.seconds for each in runs), **noted.figures(done)}


def imported_bytes() -> int:
    """Return what a process has in RAM that has imported what a worker does, and done nothing."""
    return int(subprocess.check_output([sys.executable, "-c", IMPORTS]))

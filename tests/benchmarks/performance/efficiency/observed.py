"""A backlog that is emptied, and whose CPU time that takes."""

from collections.abc import Sequence

from tests.benchmarks.performance.cpu import CpuClock, server_processes
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.workers import Worker
from tests.benchmarks.producer.line import Line


def observed(servers: Line, working: Worker, ids: Sequence[int]) -> Figures:
    """Have a worker empty a backlog; return the figures of it, with the CPU seconds of every part a picture."""
    clock = CpuClock({"worker": working.process.pid, **server_processes(servers, working.settings)})
    done = working.classify(ids)
    busy, spent = clock.busy_cores(), clock.by_part()
    return {
        "products": done.products,
        "pictures": done.pictures,
        "seconds": done.seconds,
        "pictures_per_second": done.pictures / done.seconds,
        "stages": done.stages,
        "cores_busy": busy,
        "cpu_seconds_a_picture": {part: seconds / done.pictures for part, seconds in spent.items()},
    }

"""Whose CPU time it is: each server's, the worker's, the benchmark's."""

import os
import time
from collections.abc import Mapping

import psutil

from tests.benchmarks.producer.line import Line
from worker.contract.settings import Settings

CORES = os.cpu_count() or 1


class CpuClock:
    """What the cores do from now on, and for whom."""

    def __init__(self, parts: Mapping[str, int]):
        """Take the id of the process that each part began as."""
        self._parts = parts
        self._began, self._before, self._machine = time.perf_counter(), self._now(), psutil.cpu_times()

    def by_part(self) -> dict[str, float]:
        """Return CPU seconds of each part with all that it started, and of the benchmark itself."""
        return {part: seconds - self._before[part] for part, seconds in self._now().items()}

    def all_seconds(self) -> float:
        """Return the seconds of all cores, busy or not."""
        return CORES * (time.perf_counter() - self._began)

    def idle_seconds(self) -> float:
        """Return those that nobody used."""
        now = psutil.cpu_times()
        return sum(getattr(now, kind) - getattr(self._machine, kind) for kind in ("idle", "iowait"))

    def busy_cores(self) -> float:
        """Return how many cores were busy, for whomever, on the average."""
        return CORES * (1 - self.idle_seconds() / self.all_seconds())

    def _now(self) -> dict[str, float]:
        by_part = {part: family_seconds(pid) for part, pid in self._parts.items()}
        return {**by_part, "benchmark": _seconds(psutil.Process())}


def server_processes(servers: Line, settings: Settings) -> dict[str, int]:
    """Return the processes of all servers that these settings lead to."""
    started = {each.name: each.process.pid for each in servers.processes.started}
    postmaster = servers.folder / "postgres" / "postmaster.pid"
    return {
        "MongoDB": started["mongod"],
        "PostgreSQL": int(postmaster.read_text().splitlines()[0]),
        "Redis": started["redis"],
        "model server": started[f"model-{settings.serving_address.rpartition(':')[2]}"],
    }


def family_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and all that it started, those that have ended as well."""
    root = psutil.Process(pid)
    gone = root.cpu_times()
    return sum(map(_seconds, [root, *root.children(recursive=True)])) + gone.children_user + gone.children_system


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0  # counted as its parent's
    return times.user + times.system

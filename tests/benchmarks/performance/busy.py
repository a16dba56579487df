"""Whose processors' time a run is: the worker's, each server's, and of whoever watches."""

import os
import time
from collections.abc import Callable
from typing import Any

import psutil

from tests.benchmarks.performance.line import Run, Worker
from tests.benchmarks.producer.line import Line
from worker.contract.settings import Settings

CORES = os.cpu_count() or 1


def observed(servers: Line, settings: Settings, working: Worker, run: Callable[[], Run]) -> dict[str, Any]:
    """Make a run; return its figures, with the CPU seconds of every part a picture."""
    roots = {"worker": working.process.pid, **_servers(servers, settings)}
    before = {part: _family_seconds(pid) for part, pid in roots.items()}
    own, machine, started = _seconds(psutil.Process()), _machine_seconds(), time.perf_counter()
    done = run()
    busy = (_machine_seconds() - machine) / (time.perf_counter() - started)
    spent = {part: _family_seconds(pid) - before[part] for part, pid in roots.items()}
    spent["benchmark"] = _seconds(psutil.Process()) - own
    return {
        "products": done.products,
        "pictures": done.pictures,
        "seconds": done.seconds,
        "pictures_per_second": done.pictures / done.seconds,
        "stages": done.stages,
        "cores_busy": busy,
        "cpu_seconds_a_picture": {part: seconds / done.pictures for part, seconds in spent.items()},
    }


def _servers(servers: Line, settings: Settings) -> dict[str, int]:
    started = {each.name: each.process.pid for each in servers.processes.started}
    postmaster = servers.folder / "postgres" / "postmaster.pid"
    return {
        "MongoDB": started["mongod"],
        "PostgreSQL": int(postmaster.read_text().splitlines()[0]),
        "Redis": started["redis"],
        "model server": started[f"model-{settings.serving_address.rpartition(':')[2]}"],
    }


def _family_seconds(pid: int) -> float:
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


def _machine_seconds() -> float:
    """Return the seconds that all cores were busy so far."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - times.iowait - times.guest - times.guest_nice - times.steal

"""The memory of a command with all its processes, at its highest."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
EVERY_SECONDS = 0.02


def peak_bytes(code: str, *arguments: object) -> int:
    """Run `code` in a fresh interpreter; return the highest sum of its processes' memory (PSS)."""
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _sum(_family(process.pid)))
        time.sleep(EVERY_SECONDS)
    if process.returncode:
        raise RuntimeError(f"the command to be measured ended with {process.returncode}")
    return peak


def _family(pid: int) -> Sequence[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return ()


def _sum(processes: Sequence[psutil.Process]) -> int:
    total = 0
    for each in processes:
        try:
            total += each.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total

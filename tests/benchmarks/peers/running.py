"""A peer's processes, as the benchmark starts, asks and stops them."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local.processes import Processes, stop_tree
from tests.benchmarks.peers import environment, turns

ROOT = Path(__file__).parents[3]
STOP_SECONDS = 20
CHILDREN = 2


class Running:
    """A peer that has said that it is ready."""

    def __init__(self, name: str, programs: Path, processes: Processes, variables: Mapping[str, str], errors: Path):
        module = f"tests.benchmarks.peers.{name}"
        given = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
        worker = (programs / "celery", "-A", module, "worker", "--concurrency", CHILDREN)
        self._worker = processes.start(name, list(map(str, worker)), given) if name.startswith("celery") else None
        self._errors = errors
        with errors.open("w") as file:
            command = [programs / "python", "-m", module]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": file}
            self._program = subprocess.Popen(command, env=given, text=True, **pipes)
        self._answer()

    def classify(self, products: int) -> float:
        """Have so many products classified, ids from 0 on, and return the seconds until their rows were stored."""
        assert self._program.stdin
        self._program.stdin.write(f"{products}\n")
        self._program.stdin.flush()
        return float(self._answer()[turns.SECONDS])

    def stop(self) -> None:
        """End it."""
        assert self._program.stdin
        self._program.stdin.close()
        try:
            self._program.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            stop_tree(self._program.pid)
            self._program.wait()
        if self._worker:
            stop_tree(self._worker.process.pid)

    def _answer(self) -> dict[str, Any]:
        assert self._program.stdout
        for line in self._program.stdout:  # other lines are its libraries' own
            if line.startswith("{"):
                return dict(json.loads(line))
        raise AssertionError(f"it ended: {self._errors.read_text()[-3000:]}")


@contextmanager
def running(name: str, processes: Processes, variables: Mapping[str, str], folder: Path) -> Iterator[Running]:
    """Give a peer, and end it; what it complains of goes to a file in `folder`."""
    started = Running(name, environment.make(name)[0], processes, variables, folder / f"{name}-{time.time_ns()}.txt")
    try:
        yield started
    finally:
        started.stop()

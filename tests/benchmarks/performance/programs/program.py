"""A program that waits for lines of JSON on stdin, and answers each with one: how it is asked, and how it is told."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[4]
READY = "ready"


class Program:
    """One of tests.benchmarks.performance.programs, in a process of its own; between questions it rests."""

    def __init__(self, name: str, *arguments: object, environment: Mapping[str, str] | None = None):
        command = [sys.executable, "-m", f"{__package__}.{name}", *map(str, arguments)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._read(READY)

    def ask(self, **question: object) -> dict[str, Any]:
        """Return what it answers."""
        assert self._process.stdin is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        return dict(json.loads(self._read("{")))

    def stop(self) -> None:
        """Let it end: nothing more is asked."""
        self._process.communicate()

    def _read(self, start: str) -> str:
        """Return the next line that starts so; libraries have a say on stdout as well."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(start):
                return line
        raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")


@contextmanager
def open_program(name: str, *arguments: object, environment: Mapping[str, str] | None = None) -> Iterator[Program]:
    """Give a program that is ready, and end it."""
    program = Program(name, *arguments, environment=environment)
    try:
        yield program
    finally:
        program.stop()


def answer(reply: Callable[..., dict[str, Any]]) -> None:
    """Be such a program, until stdin ends."""
    print(READY, flush=True)
    for line in sys.stdin:
        print(json.dumps(reply(**json.loads(line))), flush=True)

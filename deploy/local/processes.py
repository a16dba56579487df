"""Start processes, wait until they are ready, and leave none behind."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from worker.contract.errors import ShelverError

STOP_SECONDS = 25
TAIL_LINES = 15
POLL_SECONDS = 0.05
PR_SET_PDEATHSIG = 1


class ProcessError(ShelverError):
    """A process ended, or did not become ready."""


@dataclass(frozen=True)
class Started:
    """A running process and where its output goes."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def wait_for(self, pattern: str, timeout_seconds: float = 60) -> re.Match[str]:
        """Return the match of `pattern` in its log as soon as it is there; raises ProcessError."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            if match := re.search(pattern, self.log.read_text(errors="replace")):
                return match
            if not self.is_running:
                raise ProcessError(f"{self.name} ended at once; {tail(self.log)}")
            time.sleep(POLL_SECONDS)
        raise ProcessError(f"{self.name} is not ready after {timeout_seconds:.0f} s; {tail(self.log)}")


class Processes:
    """Long-lived processes, stopped in the reverse order of their start."""

    def __init__(self, folder: Path, outlive_us: bool = False):
        """Logs go to `folder`. Unless they shall outlive us, the kernel ends them when we are killed outright."""
        self._folder = folder
        self._outlive_us = outlive_us
        self.started: list[Started] = []

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Started:
        """Start a process in a session of its own, so that a Ctrl-C reaches us alone and we stop all in order."""
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment or os.environ),
                start_new_session=True,
                preexec_fn=None if self._outlive_us else _die_with_parent,  # noqa: PLW1509 - we start no threads
            )
        started = Started(name, process, log)
        self.started.append(started)
        return started

    def stop(self) -> None:
        """Stop everything, politely first; a second Ctrl-C does not interrupt it."""
        with _deaf_to_interrupts():
            while self.started:
                last = self.started.pop()
                stop_tree(last.process.pid)
                last.process.wait()


def stop_tree(pid: int) -> None:
    """End a process and its descendants: SIGTERM to it, and SIGKILL to whatever is left after a while."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        process.terminate()
    except psutil.NoSuchProcess:
        return
    _, alive = psutil.wait_procs([process], timeout=STOP_SECONDS)
    for each in [*alive, *family]:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(family, timeout=5)


def run(name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """Run a command to its end, its progress on our terminal and its messages in `log`; raises ProcessError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=errors,
            env=dict(environment),
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - we start no threads
        )
        try:
            code = process.wait()
        except BaseException:
            stop_tree(process.pid)
            raise
    if code:
        raise ProcessError(f"{name} failed with exit code {code}; {tail(log)}")


def tail(log: Path) -> str:
    """Return the last lines of a log, introduced by its path."""
    lines = log.read_text(errors="replace").strip().splitlines()[-TAIL_LINES:]
    return f"the end of {log}:\n  " + "\n  ".join(lines or ["(empty)"])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def _deaf_to_interrupts():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

"""Whether the workers of this machine live: they consume, or there is nothing to consume.

Reads the state files that the workers write every second (worker/gate.py), and asks Redis only about a worker that
looks silent or idle, so that a probe is cheap.
"""

import json
import math
import os
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from worker.contract.errors import Unavailable
from worker.contract.settings import Settings

if TYPE_CHECKING:
    from worker.load import Load

STAMP_SECONDS = 30
#: a worker with free children that leaves waiting pages alone for longer is stuck
IDLE_SECONDS = 60
#: a page that has only just come, or a queue just resumed, is taken by then
SECOND_LOOK_SECONDS = 3
#: how long a probe may take over Redis
REDIS_SECONDS = 2
#: Celery tries Redis again every 30 s or so, and a worker is silent until it has
RECONNECT_SECONDS = 60
#: in the state folder; written by a probe that found Redis away
AWAY = "redis-away"


@dataclass(frozen=True, slots=True)
class State:
    """What a worker said of itself; moments are in seconds since the epoch."""

    pid: int
    at: float
    #: those it takes from now, so not the paused ones
    queues: list[str]
    #: why nothing can be predicted, or nothing
    unfit: str
    #: pages in its children
    active: int
    #: when it last took a page; before the first, when it started
    taken_at: float

    @property
    def is_silent(self) -> bool:
        """Whether its stamp is old, or far ahead: of a clock that has been put back since."""
        return abs(time.time() - self.at) > STAMP_SECONDS

    @property
    def is_idle(self) -> bool:
        """Whether it could take pages and has taken none for long."""
        return bool(self.queues) and not self.unfit and not self.active and time.time() - self.taken_at > IDLE_SECONDS


def live(settings: Settings) -> tuple[bool, str]:
    """Return whether every worker of this machine lives, and one line that says why."""
    alive, stuck, why = _judge(settings)
    if stuck:
        time.sleep(SECOND_LOOK_SECONDS)
        alive, _, why = _judge(settings)
    return alive, why


def read(folder: Path) -> list[State]:
    """Return what the workers that run now said last; files of workers that died, or that are none, do not count."""
    states = []
    for path in sorted(folder.glob("worker-*.json")):
        with suppress(OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
            state = _parse(path.read_text())
            if _runs(state.pid, state.at):
                states.append(state)
    return states


def _judge(settings: Settings) -> tuple[bool, bool, str]:
    """Return whether all live, whether one is stuck (and may not be, a moment later), and why."""
    folder = Path(settings.state_folder)
    states = read(folder)
    if not states:
        return False, False, f"no worker runs on this machine: {folder} (SHELVER_STATE_FOLDER) tells of none"
    if not any(state.is_silent or state.is_idle for state in states):
        return True, False, "; ".join(map(_say, states))
    try:
        loads = _loads(settings)
    except Unavailable as error:
        with suppress(OSError):
            (folder / AWAY).touch()
        return True, False, f"waiting for Redis: {error}"
    for state in states:
        if state.is_silent and not _was_away(folder):
            return False, False, f"worker {state.pid} has said nothing for {abs(time.time() - state.at):.0f} s"
        waiting = [f"{load.queue} holds {load.depth}" for load in loads if load.depth and load.queue in state.queues]
        if state.is_idle and not state.is_silent and waiting:
            idle = f"has taken no page for {time.time() - state.taken_at:.0f} s"
            return False, True, f"worker {state.pid} {idle} while {' and '.join(waiting)}"
    return True, False, "; ".join(map(_say, states))


def _parse(text: str) -> State:
    said = json.loads(text)
    at, taken_at = float(said["at"]), float(said["taken_at"])
    if not (math.isfinite(at) and math.isfinite(taken_at)):
        raise ValueError("no moment")
    return State(int(said["pid"]), at, list(said["queues"]), str(said["unfit"]), int(said["active"]), taken_at)


def _say(state: State) -> str:
    if state.is_silent:
        doing = "is about to find that Redis is back"
    elif state.unfit:
        doing = f"takes no pages: {state.unfit}"
    elif not state.queues:
        doing = "takes no pages: its queues are paused"
    elif state.active:
        doing = f"has {state.active} page(s) in hand"
    else:
        doing = f"has nothing to do and last took a page {max(0, time.time() - state.taken_at):.0f} s ago"
    return f"worker {state.pid} {doing}"


def _loads(settings: Settings) -> "list[Load]":
    from worker.control import Control  # here, because most probes ask nothing

    seconds = min(settings.connect_timeout_seconds, REDIS_SECONDS)
    with closing(Control(settings.model_copy(update={"connect_timeout_seconds": seconds}))) as control:
        return control.loads()


def _was_away(folder: Path) -> bool:
    """Whether Redis was away when a probe last had to ask, a moment ago."""
    with suppress(OSError):
        return abs(time.time() - (folder / AWAY).stat().st_mtime) < RECONNECT_SECONDS
    return False


def _runs(pid: int, at: float) -> bool:
    """Whether a process that could have written something at this moment still runs under this number.

    A dead one that nobody has reaped does not, nor another that was given the number since.
    """
    try:
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return False
    seconds_up = time.clock_gettime(time.CLOCK_BOOTTIME) - int(numbers[18]) / os.sysconf("SC_CLK_TCK")
    return state not in "ZX" and time.time() - seconds_up <= at + 1

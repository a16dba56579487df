"""Which queues this worker takes pages from: none while the model is unfit, none that ops have paused.

Runs in the worker's main process, once a second, and stamps a state file that the probes read. It calls neither the
model server nor SQL: those clients live in the children, because none survives a fork. A child that finds the model
unfit says so through shared memory, and a child is asked to look again until it is right.
"""

import json
import logging
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import bootsteps
from celery.worker import state

from worker import transport
from worker.contract.errors import Unavailable
from worker.contract.messages import Queue
from worker.contract.settings import Settings
from worker.control import Control
from worker.metrics import observe

logger = logging.getLogger("worker")

LOOK_SECONDS = 1.0
PROBE_SECONDS = 2.0
#: inherited by the children at their fork: why nothing can be predicted, empty while all is well. Without a lock,
#: because a child that is killed would never give it back; a torn line does no harm.
_unfit = multiprocessing.RawArray("c", 1000)


def report_unfit(reason: str) -> None:
    """Have this worker, all its children, stop taking pages. Called in a child."""
    _unfit.value = reason.encode(errors="replace")[:999] or b"?"


def report_fit() -> None:
    """Have this worker go on. Called in a child."""
    _unfit.value = b""


def unfit() -> str:
    """Return why nothing can be predicted now, or nothing."""
    return str(_unfit.value.decode(errors="replace"))


class Gate(bootsteps.StartStopStep):
    """Opens and closes the worker's queues. `look_again` runs in a child while the model is unfit."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    settings: Settings
    look_again: Callable[[], None]

    def __init__(self, consumer: Any, **_: Any):
        super().__init__(consumer)
        self._asked_for = list(consumer.app.amqp.queues.consume_from)  # in the order of -Q: the first goes first
        self._control: Control | None = None
        self._timers: list[Any] = []
        self._open: list[str] = []
        self._paused: set[Queue] = set()
        self._told = ""
        self._looked_at = 0.0
        self._state = StateFile(Path(self.settings.state_folder))
        self._state.write([], "")  # a worker that starts while Redis is away is alive all the same

    def start(self, consumer: Any) -> None:
        """Begin to look; called again after every loss of Redis."""
        self._control = self._control or Control(self.settings.model_copy(update={"connect_timeout_seconds": 1.0}))
        self._open = list(consumer.app.amqp.queues.consume_from)
        channel = consumer.task_consumer.channel
        has_room = channel.qos.can_consume
        channel.qos.can_consume = lambda: not unfit() and has_room()
        self._timers = [
            consumer.timer.call_repeatedly(LOOK_SECONDS, self._look, (consumer,)),
            consumer.timer.call_repeatedly(transport.LOOK_SECONDS, lambda: None),  # wakes the loop, for it to look
        ]
        self._look(consumer)

    def stop(self, consumer: Any) -> None:
        """Look no more."""
        for timer in self._timers:
            timer.cancel()
        self._timers = []

    def terminate(self, consumer: Any) -> None:
        """Look no more, and leave no state file behind."""
        self.stop(consumer)
        self._state.remove()

    shutdown = terminate

    def _look(self, consumer: Any) -> None:
        try:
            self._paused = self._control.paused() if self._control else set()
        except Unavailable as error:
            logger.debug("whether a queue is paused stays as it was: %s", error)
        wanted = [name for name in self._asked_for if name not in self._paused]
        if wanted != self._open:
            self._turn(consumer, wanted)
        self._watch_model(consumer)
        self._state.write(self._open, unfit())
        observe.looked(is_unfit=bool(unfit()))

    def _turn(self, consumer: Any, wanted: list[str]) -> None:
        """Take from these queues from now on; all are cancelled first, because their order is their priority."""
        queues = consumer.app.amqp.queues
        for name in self._open:
            queues.deselect(name)
            consumer.task_consumer.cancel_by_queue(name)
        for name in wanted:
            consumer.task_consumer.add_queue(queues.select_add(queues[name]))
        consumer.task_consumer.consume()
        self._open = wanted
        logger.info("taking pages from %s", " and ".join(wanted) or "no queue: all are paused (shelver-worker resume)")

    def _watch_model(self, consumer: Any) -> None:
        reason = unfit()
        if bool(reason) != bool(self._told):
            if reason:
                logger.error("no page is taken until this is mended: %s", reason)
            else:
                logger.info("the model is right: taking pages again")
        self._told = reason
        if reason and time.monotonic() - self._looked_at > PROBE_SECONDS:
            self._looked_at = time.monotonic()
            consumer.pool.apply_async(type(self).look_again)


class StateFile:
    """What this worker says of itself, for probes: one small JSON file a worker, written anew every second."""

    def __init__(self, folder: Path):
        self.path = folder / f"worker-{os.getpid()}.json"
        self._taken, self._taken_at = 0, time.time()

    def write(self, queues: list[str], reason: str) -> None:
        """Write {pid, at, queues, unfit, active, taken_at}; a full disk is no reason to stop."""
        taken = sum(state.total_count.values())
        if taken != self._taken:
            self._taken, self._taken_at = taken, time.time()
        said = {
            "pid": os.getpid(),
            "at": time.time(),
            "queues": queues,
            "unfit": reason,
            "active": len(state.active_requests),
            "taken_at": self._taken_at,
        }
        partial = self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(said))
            partial.replace(self.path)
        except OSError as error:
            logger.debug("%s cannot be written: %s", self.path, error)

    def remove(self) -> None:
        """Remove the file: there is no such worker any more."""
        self.path.unlink(missing_ok=True)

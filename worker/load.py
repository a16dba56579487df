"""What a queue holds, read from what Celery keeps of it in Redis."""

import json
import time
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker.contract.messages import MessageError, Page, Queue

#: a page in flight: its queue, and when it was enqueued where that can be read
Flying = tuple[str, float | None]


@dataclass(frozen=True, slots=True)
class Load:
    """What one queue holds."""

    queue: Queue
    is_paused: bool
    #: pages that wait
    depth: int
    #: pages that workers have taken and not finished
    in_flight: int
    #: how long the next page in turn has been waiting, or the oldest in flight; None when there is none
    oldest_seconds: float | None


def load(queue: Queue, is_paused: bool, depth: int, first: str | None, flying: Sequence[Flying]) -> Load:
    """Return what a queue holds, of the next message in turn and of all pages in flight."""
    mine = [moment for name, moment in flying if name == queue.value]
    moments = [moment for moment in [*mine, queued_at(first)] if moment is not None]
    return Load(queue, is_paused, depth, len(mine), max(0.0, time.time() - min(moments)) if moments else None)


def taken(entry: str) -> Flying | None:
    """Read a value of Celery's hash of unacknowledged messages, [message, exchange, queue]: its queue, its age."""
    try:
        message, _, queue = json.loads(entry)
    except (ValueError, TypeError, RecursionError):
        return None
    return queue, queued_at(message)


def queued_at(message: Any) -> float | None:
    """Return when the page of a message, as Celery stores it, was enqueued; None for what is no page."""
    try:
        body = (json.loads(message) if isinstance(message, str) else message)["body"]
        return Page.from_wire(json.loads(b64decode(body))[0][0]).queued_at
    except (MessageError, ValueError, LookupError, TypeError, RecursionError):
        return None

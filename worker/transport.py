"""Celery's Redis transport, which does not die of a message that it cannot read.

kombu's own raises in the worker's event loop, which ends the worker; the message is gone from the queue by then, and
the next of its kind ends the next worker.
"""

import structlog
from kombu.transport import redis

logger = structlog.stdlib.get_logger("worker")

SHOWN_CHARACTERS = 500


class Channel(redis.Channel):  # type: ignore[misc]  # kombu has no types
    """A channel that drops, with a line in the log, what is no message at all."""

    def _brpop_read(self, **options: object) -> object:
        try:
            return super()._brpop_read(**options)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            shown = str(getattr(error, "doc", ""))[:SHOWN_CHARACTERS]
            logger.error("something on a queue is no message and is dropped", reason=repr(error)[:300], content=shown)
            return True


class Transport(redis.Transport):  # type: ignore[misc]
    """The transport of that channel."""

    Channel = Channel

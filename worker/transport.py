"""Celery's Redis transport, made to lose nothing.

kombu's own takes a message off its queue and writes down only afterwards that a worker has it: between the two it is
nowhere but in a socket's buffer, and gone for good when the worker or the network dies then. Ours does both in one step
in Redis, so that a message is always on a queue or among the unacknowledged ones, which come back.

Nor does it matter here what a worker's clock says: one that is ahead would take every page for lost, again and again.

kombu's own also raises in the worker's event loop for what is no message at all, which ends the worker; and the next
of its kind ends the next worker. Ours drops it with a line in the log.
"""

import time
from typing import Any

import structlog
from kombu.transport import redis

logger = structlog.stdlib.get_logger("worker")

#: takes the next message of the first queue that has one, and enters it among the unacknowledged ones as kombu does.
#: KEYS: the queues, then kombu's hash of messages and its index by time. Returns {queue, message}, or nothing.
TAKE = """
for place = 1, #KEYS - 2 do
  local message = redis.call('RPOP', KEYS[place])
  if message then
    local sound, properties = pcall(function() return cjson.decode(message).properties end)
    if sound and type(properties) == 'table' and type(properties.delivery_tag) == 'string' then
      local from = type(properties.delivery_info) == 'table' and properties.delivery_info or {}
      local way = cjson.encode(from.exchange or '') .. ',' .. cjson.encode(from.routing_key or '')
      redis.call('HSET', KEYS[#KEYS - 1], properties.delivery_tag, '[' .. message .. ',' .. way .. ']')
      redis.call('ZADD', KEYS[#KEYS], redis.call('TIME')[1], properties.delivery_tag)
    end
    return {KEYS[place], message}
  end
end
return false
"""
#: after all queues were found empty: a script cannot wait for a message as BRPOP does
LOOK_SECONDS = 0.02
SHOWN_CHARACTERS = 500


class QoS(redis.QoS):
    """What a worker has taken and not acknowledged, by Redis' clock: a machine's own may jump."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Keep a message that TAKE has written down already."""
        super(redis.QoS, self).append(message, delivery_tag)

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Put messages back on their queues that somebody has had for longer than the visibility timeout."""
        with self.channel.conn_or_acquire() as client:
            ahead_seconds = time.time() - client.time()[0]
        self.visibility_timeout = self.channel.visibility_timeout + ahead_seconds
        super().restore_visible(start, num, interval)


class Channel(redis.Channel):
    """A channel that takes messages with TAKE. The worker's event loop must wake up every LOOK_SECONDS."""

    QoS = QoS
    _found_nothing_at = 0.0  # on the monotonic clock
    _acknowledges = False

    def __init__(self, *args: object, **options: object):
        super().__init__(*args, **options)
        self._kept_pool = self.pool

    @property
    def pool(self) -> Any:
        """The connections beside the one that waits for messages; the same to the end, and after it.

        A page in hand is acknowledged after its channel was closed. By then kombu has dropped its pool and forgotten
        where Redis is, which would end the worker.
        """
        return self.__dict__.get("_kept_pool") or super().pool

    def basic_consume(self, queue: str, no_ack: bool, *arguments: Any, **options: Any) -> Any:
        """Consume from a queue, and remember whether what it takes will be acknowledged."""
        self._acknowledges = self._acknowledges or not no_ack
        return super().basic_consume(queue, no_ack, *arguments, **options)

    def _brpop_start(self, timeout: float | None = None) -> None:
        if not self._acknowledges:  # answers to Flower or `celery inspect`: to be taken, not kept, and waited for
            super()._brpop_start(timeout)
            return
        # Half of it: the loop is woken every LOOK_SECONDS, and one that came a moment too soon would wait for the next.
        if time.monotonic() - self._found_nothing_at < LOOK_SECONDS / 2:
            return
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        keys = [self._q_for_pri(queue, priority) for priority in self.priority_steps for queue in queues]
        keys += [self.unacked_key, self.unacked_index_key]
        self._in_poll = self.client.connection
        self._brpop_sent_at = time.monotonic()
        self.client.connection.send_command("EVAL", TAKE, len(keys), *keys)

    def _brpop_read(self, **options: object) -> object:
        try:
            return super()._brpop_read(**options)
        except redis.Empty:
            self._found_nothing_at = time.monotonic()
            raise
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            shown = str(getattr(error, "doc", ""))[:SHOWN_CHARACTERS]
            logger.error("something on a queue is no message and is dropped", reason=repr(error)[:300], content=shown)
            return True


class Transport(redis.Transport):
    """The transport of that channel."""

    Channel = Channel

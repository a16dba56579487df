"""What workers and ops tell each other through Redis: paused queues, a rollout, attempts at pages, work done, waiting.

It is kept beside the queues because it is worth as much as they are: when Redis is lost, so are the pages that
it speaks of.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import redis

from worker.contract.errors import Unavailable
from worker.contract.messages import Queue
from worker.contract.settings import Settings
from worker.contract.unreachable import reason
from worker.contract.urls import redact
from worker.load import Load, load, taken
from worker.rollout import OFF, Answered, Rollout

PAUSED = "shelver:paused"
ROLLOUT = "shelver:rollout"
ANSWERED = "shelver:answered:"
BEGUN = "shelver:begun:"
FAILED = "shelver:failed:"
DONE = "shelver:done:"
#: Celery's own: pages that a worker has taken and not acknowledged
IN_FLIGHT = "unacked"
ATTEMPTS_KEPT_SECONDS = 7 * 24 * 3600
#: after a canary's last product, or a rollout that had none
ANSWERED_KEPT_SECONDS = 30 * 24 * 3600
#: failed attempts at a page after which it is a suspect
FAILURES = 3
#: starts without an end after which it is one, too: its workers die as a whole, and nobody is left to tell. It takes
#: more of them, because a page also starts anew when its worker loses Redis, or dies of another page
STARTS = 10
RATE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was known of a page when it was begun."""

    #: which it is since an attempt last ended, from 1 on
    number: int
    #: attempts that killed their child or failed for no reason that is known
    failures: int
    #: what is being tried out meanwhile
    rollout: Rollout = OFF

    @property
    def is_clean(self) -> bool:
        """Whether no attempt at the page is known to have gone wrong."""
        return self.number == 1 and not self.failures

    @property
    def is_suspect(self) -> bool:
        """Whether the page seems to kill whoever takes it."""
        return self.failures >= FAILURES or self.number > STARTS


class Control:
    """A connection to Redis. Build it after fork. Every method raises Unavailable when Redis does not answer."""

    def __init__(self, settings: Settings):
        timeout = settings.connect_timeout_seconds
        self._url, self.address = settings.redis_url, redact(settings.redis_url)
        self._rollout = OFF
        self._redis = redis.Redis.from_url(
            settings.redis_url, socket_timeout=timeout, socket_connect_timeout=timeout, decode_responses=True
        )

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def ping(self) -> None:
        """Do nothing, if Redis answers."""
        with self._told():
            self._redis.ping()

    def paused(self) -> set[Queue]:
        """Return the queues that no worker takes from for now."""
        with self._told():
            return {Queue(name) for name in self._redis.smembers(PAUSED) if name in set(Queue)}

    def pause(self, queues: Iterable[Queue]) -> None:
        """Have every worker stop taking pages from these queues within a second or two; it stays so until `resume`."""
        with self._told():
            self._redis.sadd(PAUSED, *(queue.value for queue in queues))

    def resume(self, queues: Iterable[Queue]) -> None:
        """Have every worker take pages from these queues again."""
        with self._told():
            self._redis.srem(PAUSED, *(queue.value for queue in queues))

    def rollout(self) -> Rollout:
        """Return what is being tried out."""
        with self._told():
            return Rollout.from_text(cast("str | None", self._redis.get(ROLLOUT)))

    def roll_out(self, rollout: Rollout) -> None:
        """Have every worker go by this from its next page on; what the version has answered is counted anew."""
        with self._told(), self._redis.pipeline() as calls:
            if rollout == OFF:
                calls.delete(ROLLOUT)
            else:
                calls.set(ROLLOUT, rollout.to_text())
                calls.delete(_answered(rollout.version))
                _count(calls, Answered(rollout.version))
            calls.execute()

    def answered(self, version: int) -> Answered | None:
        """Return how a version has done since its last rollout began; None when that is not, or no longer, known."""
        with self._told():
            found = cast("dict[str, str]", self._redis.hgetall(_answered(version)))
        return Answered(version, int(found["products"]), int(found["answered"])) if found else None

    def begin(self, page_id: str) -> Attempt:
        """Count one more attempt at a page, and find out what is being tried out, in one round trip."""
        with self._told(), self._redis.pipeline() as calls:
            calls.incr(BEGUN + page_id)
            calls.expire(BEGUN + page_id, ATTEMPTS_KEPT_SECONDS)
            calls.get(FAILED + page_id)
            calls.get(ROLLOUT)
            number, _, failures, rollout = calls.execute()
        self._rollout = Rollout.from_text(rollout)
        return Attempt(int(number), int(failures or 0), self._rollout)

    def begin_untold(self) -> Attempt:
        """Return what a page is begun with while Redis is away: a first attempt, under the last rollout known of."""
        return Attempt(1, 0, self._rollout)

    def fail(self, page_id: str) -> None:
        """Count an attempt at a page that killed its child, or failed for no reason that is known."""
        with self._told(), self._redis.pipeline() as calls:
            calls.incr(FAILED + page_id)
            calls.expire(FAILED + page_id, ATTEMPTS_KEPT_SECONDS)
            calls.execute()

    def suspect(self, page_id: str, failures: int) -> None:
        """Take a page as failed this many times already: a part of one that killed its workers."""
        with self._told():
            self._redis.set(FAILED + page_id, failures, ex=ATTEMPTS_KEPT_SECONDS)

    def end(self, page_id: str, products: int = 0, answered: Answered | None = None) -> None:
        """Forget the attempts at a page, which did not kill its process, and count the products that it finished."""
        minute = DONE + str(int(time.time() // RATE_SECONDS))
        with self._told(), self._redis.pipeline() as calls:
            calls.delete(BEGUN + page_id, FAILED + page_id)
            if products:
                calls.incrby(minute, products)
                calls.expire(minute, 3 * RATE_SECONDS)
            if answered and answered.products:
                _count(calls, answered)
            calls.execute()

    def products_per_second(self) -> float:
        """Return the rate of all workers over the last whole minute."""
        with self._told():
            done = self._redis.get(DONE + str(int(time.time() // RATE_SECONDS) - 1))
        return int(done or 0) / RATE_SECONDS

    def loads(self) -> list[Load]:
        """Return what each queue holds, seen at one moment."""
        with self._told(), self._redis.pipeline() as calls:
            calls.smembers(PAUSED)
            calls.hvals(IN_FLIGHT)
            for queue in Queue:
                calls.llen(queue.value)
                calls.lindex(queue.value, -1)  # the next in turn
            paused, entries, *rest = calls.execute()
        flying = [each for each in map(taken, entries) if each is not None]
        return [
            load(queue, queue.value in paused, rest[2 * place], rest[2 * place + 1], flying)
            for place, queue in enumerate(Queue)
        ]

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise Unavailable(
                f"Redis at {self.address} does not answer (SHELVER_REDIS_URL): {reason(error, self._url)}"
            ) from error


def _answered(version: int | None) -> str:
    return f"{ANSWERED}{version}"


def _count(calls: redis.client.Pipeline, answered: Answered) -> None:
    key = _answered(answered.version)
    calls.hincrby(key, "products", answered.products)
    calls.hincrby(key, "answered", answered.answered)
    calls.expire(key, ANSWERED_KEPT_SECONDS)

"""What the endpoints ask of the servers behind them: in threads, and never for longer than a caller waits."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, fail_after, to_thread
from redis import Redis
from sqlalchemy import select

from producer.api.answers import Health
from producer.connections import Connections
from worker.contract.errors import ShelverError, Unavailable
from worker.contract.settings import Settings
from worker.contract.tables import predictions

T = TypeVar("T")
logger = logging.getLogger("producer")

#: of the time in which a server must connect: for as many attempts as clients make by themselves, and one
PATIENCE = 4
#: /health asks no more often, however often it is asked
HEALTH_SECONDS = 1.0


class Service:
    """The connections of the HTTP service, for its one event loop."""

    def __init__(self, settings: Settings):
        self._connections = Connections(settings)
        self._connect_seconds = settings.connect_timeout_seconds
        self._health_asked = asyncio.Lock()
        self._health_threads = CapacityLimiter(3)  # of its own: questions that hang may have all the others
        self._health: tuple[float, Health] | None = None  # until when, on the monotonic clock, and what was found

    async def ask(
        self, question: Callable[[Connections], T], patience: float = PATIENCE, threads: CapacityLimiter | None = None
    ) -> T:
        """Return the answer; raises Unavailable after `patience` times SHELVER_CONNECT_TIMEOUT_SECONDS at the latest.

        A thread that is still at it then is left to itself: its client's own limit ends it.
        """
        seconds = patience * self._connect_seconds
        try:
            with fail_after(seconds):
                return await to_thread.run_sync(question, self._connections, abandon_on_cancel=True, limiter=threads)
        except TimeoutError:
            raise Unavailable(f"no answer within {seconds:g} s") from None

    async def health(self) -> Health:
        """Ask every server at the same time, at most once a second."""
        async with self._health_asked:
            if self._health is None or self._health[0] < time.monotonic():
                answers = await asyncio.gather(*map(self._answers, (_ask_redis, _ask_mongodb, _ask_sql)))
                health = Health(**dict(zip(("redis", "mongodb", "sql"), answers, strict=True)))
                self._health = (time.monotonic() + HEALTH_SECONDS, health)
            return self._health[1]

    async def _answers(self, question: Callable[[Connections], object]) -> bool:
        try:
            await self.ask(question, 1.5, self._health_threads)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others must be told
            logger.warning("health: %s", error if isinstance(error, ShelverError) else type(error).__name__)
            return False
        return True

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


def _ask_redis(connections: Connections) -> None:
    seconds = connections.settings.connect_timeout_seconds
    url = connections.settings.redis_url
    with Redis.from_url(url, socket_connect_timeout=seconds, socket_timeout=seconds) as client:
        client.ping()


def _ask_mongodb(connections: Connections) -> None:
    connections.listings.find_one({}, {"_id": 1})  # a ping would pass without a password


def _ask_sql(connections: Connections) -> None:
    with connections.database.begin() as connection:
        connection.execute(select(predictions.c.product_id).limit(1))

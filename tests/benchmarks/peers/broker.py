"""When a Celery queue on Redis is done."""

import os
import time

import redis

LOOK_SECONDS = 0.005


def wait() -> None:
    """Return when the queue is empty and everything that was taken from it is acknowledged."""
    with redis.Redis.from_url(os.environ["SHELVER_REDIS_URL"]) as client:
        while client.llen("celery") or client.hlen("unacked"):
            time.sleep(LOOK_SECONDS)

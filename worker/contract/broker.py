"""How producers and workers speak to Redis: the options both sides must share."""

from typing import Any

from worker.contract.messages import Queue
from worker.contract.settings import Settings


def celery_options(settings: Settings) -> dict[str, Any]:
    """Return Celery's configuration of the queues, JSON only: nothing is ever unpickled."""
    timeout = settings.connect_timeout_seconds
    return {
        "broker_url": _verifying(settings.redis_url),
        "broker_connection_timeout": timeout,
        "broker_transport_options": {
            # A page whose worker fell silent comes back after this long; the sweep that looks for such pages
            # runs every 10 s x 10 by default, which would add up to 100 s.
            "visibility_timeout": settings.visibility_timeout_seconds,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            # A worker that dies or is cut off amid that sweep keeps the others from theirs for so long; 300 by default.
            "unacked_mutex_expire": 10,
            # `-Q new,backfill` then means: a new listing takes the next free child ahead of any backlog.
            "queue_order_strategy": "priority",
            "socket_timeout": max(timeout, 5),
            "socket_connect_timeout": timeout,
            "socket_keepalive": True,
        },
        "task_default_queue": Queue.NEW.value,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
    }


def _verifying(url: str) -> str:
    """Return the URL, and of one by TLS that does not say otherwise: that the server's certificate is verified.

    redis-py does so unasked. kombu would not, and by a transport of another name send the password unencrypted.
    """
    if not url.startswith("rediss://") or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"

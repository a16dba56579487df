"""Who may ask, how often and how much: ASGI middleware before FastAPI, which would read a body first."""

import hmac
import math
import time

from fastapi.responses import JSONResponse
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.contract.listening import network

#: ten thousand ids of twenty digits are a fifth of it
MAX_BODY_BYTES = 2**20
#: that are counted at a time; the library goes through all of them at every request
MOST_ADDRESSES = 10_000
HEALTH = "/health"
#: what everyone may read: it says nothing of any product
OPEN = (HEALTH, "/openapi.json", "/docs")


class RateLimit:
    """Takes so many requests a minute from one address; /health, which probes ask, is not counted."""

    def __init__(self, app: ASGIApp, requests_a_minute: int):
        self._app = app
        self._limit = RateLimitItemPerMinute(requests_a_minute)
        # Two numbers an address. The moving window would be exact and keep every request.
        self._counts = MemoryStorage()
        self._limiter = SlidingWindowCounterRateLimiter(self._counts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 429 with the seconds to wait, or pass the request on."""
        client = network(str((scope.get("client") or ("unknown",))[0]))
        if scope["type"] == "http" and scope["path"] != HEALTH and (seconds := await self._wait(client)):
            response = refusal(429, "too many requests from this address", {"Retry-After": str(seconds)})
            return await response(scope, receive, send)
        return await self._app(scope, receive, send)

    async def _wait(self, address: str) -> int:
        """Count a request; return the seconds to wait before the next, 0 when this one may pass."""
        if len(self._counts.expirations) > MOST_ADDRESSES:
            await self._counts.reset()  # a flood from everywhere: no limit by address holds it up
        if await self._limiter.hit(self._limit, address):
            return 0
        reset_at = (await self._limiter.get_window_stats(self._limit, address)).reset_time
        return max(1, math.ceil(reset_at - time.time()))


class BearerToken:
    """Lets nobody pass without the token, but for what is open."""

    def __init__(self, app: ASGIApp, token: str):
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or pass the request on."""
        if scope["type"] == "http" and not self._may_pass(scope):
            response = refusal(
                401,
                "show the token in SHELVER_API_TOKEN of this service, as Authorization: Bearer TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )
            return await response(scope, receive, send)
        return await self._app(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        path = str(scope["path"])
        if not self._token or path in OPEN or path.startswith("/docs/"):
            return True
        scheme, _, shown = Headers(scope=scope).get("authorization", "").partition(" ")
        is_token = hmac.compare_digest(shown.strip().encode("latin-1"), self._token)
        return scheme.lower() == "bearer" and is_token


class BodyLimit:
    """Takes no body of more than a mebibyte, whether its length is told or not."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413, or pass the request on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        too_large = f"a body may have {MAX_BODY_BYTES:,} bytes: send the ids in parts"
        if int(Headers(scope=scope).get("content-length", 0)) > MAX_BODY_BYTES:
            return await refusal(413, too_large)(scope, receive, send)
        received = 0

        async def count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, too_large)  # where the body is read, and FastAPI answers
            return message

        return await self._app(scope, count, send)


def refusal(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the one form of all errors: {"detail": one sentence}."""
    return JSONResponse({"detail": detail}, status, headers)

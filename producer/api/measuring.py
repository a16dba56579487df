"""How many requests there are, what they are answered, and how long that takes."""

import time

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from producer import metrics
from producer.api.endpoints import open_router, router

ENDPOINTS = {route.name for each in (router, open_router) for route in each.routes if isinstance(route, APIRoute)}


class Measured:
    """Measures every request, those that are refused before they reach an endpoint included."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer back."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, status = time.monotonic(), 500  # unless one is sent

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            metrics.answered(_endpoint(scope), status, time.monotonic() - started)


def _endpoint(scope: Scope) -> str:
    name = str(getattr(scope.get("route"), "name", ""))
    return name if name in ENDPOINTS else metrics.NO_ENDPOINT

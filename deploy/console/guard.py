"""What is checked of every request before Streamlit has it, and what every browser is told to refuse."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from worker.contract.listening import is_loopback

#: nothing is fetched from elsewhere, whatever a category's name holds; Streamlit's styles are inline, and its charts
#: compile their expressions
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
#: with no-referrer, the form of the password would come without its origin
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
REFUSED = "refused: not from the console's own page, or not by the name that it has (a proxy must pass on Host)\n"


class Guard:
    """Refuses what another site has a visitor's browser ask, and adds headers to every answer."""

    def __init__(self, app: ASGIApp, is_local: bool):
        """`is_local`: only who asks for this machine by a name of its own is answered, since there is no password.

        Else a site whose name leads to 127.0.0.1 could read the console through its visitor's browser.
        """
        self._app = app
        self._is_local = is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes from the console's own pages."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] == "lifespan" or self._is_ours(Headers(scope=scope)):
            await self._app(scope, receive, send_with_headers)
        elif scope["type"] == "websocket":
            await WebSocketClose(1008)(scope, receive, send)
        else:
            await PlainTextResponse(REFUSED, 403)(scope, receive, send)

    def _is_ours(self, headers: Headers) -> bool:
        host, origin = headers.get("host", ""), headers.get("origin")
        try:
            named = not self._is_local or is_loopback(urlsplit(f"//{host}").hostname or "")
            return named and (origin is None or urlsplit(origin).netloc == host)
        except ValueError:  # brackets that hold no address
            return False

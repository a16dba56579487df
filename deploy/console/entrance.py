"""The way in: whoever has not given the password gets the form that asks for it, and nothing of Streamlit."""

import base64
import html
import math
import re
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, quote

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from deploy.console.passes import LIFE_SECONDS, Passes
from deploy.console.password import Gate
from worker.contract.listening import network

LOGIN = "/login"
#: what probes ask; it says "ok" and no more
HEALTH = "/_stcore/health"
COOKIE = "shelver_console"
#: of a form; a password is far shorter
MAX_BODY_BYTES = 4096
#: of an address, which a proxy may have written
ADDRESS_CHARACTERS = 64
#: where a browser stays with us: it takes a second slash, or a backslash, for the start of another host
LOCAL = re.compile(r"/(?!/)[!-\[\]-~]*")
FOLDER = Path(__file__).parent
FORM = Template((FOLDER / "login.html").read_text("utf-8"))
ICON = base64.b64encode((FOLDER / "shelf.svg").read_bytes()).decode()


class Entrance:
    """Passes on what comes with a pass, which the right password gives."""

    def __init__(self, app: ASGIApp, password: str):
        self._app = app
        self._gate = Gate(password)
        self._passes = Passes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in the application's place, or pass the request on."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        has_entered = self._passes.is_valid(HTTPConnection(scope).cookies.get(COOKIE, ""))
        if scope["type"] == "http" and scope["path"] == LOGIN:
            response = await self._login(Request(scope, receive), has_entered)
            return await response(scope, receive, send)
        if has_entered or scope["path"] == HEALTH:
            return await self._app(scope, receive, send)
        if scope["type"] == "websocket":
            return await WebSocketClose(1008)(scope, receive, send)
        return await _refusal(Request(scope))(scope, receive, send)

    async def _login(self, request: Request, has_entered: bool) -> Response:
        if request.method == "POST":
            return await self._enter(request)
        return RedirectResponse(_next(request), 303) if has_entered else _form()

    async def _enter(self, request: Request) -> Response:
        given, address = await _password(request), _address(request)
        if given is None:
            return PlainTextResponse("refused: not the form of this page\n", 400)
        if seconds := math.ceil(self._gate.seconds_closed(address)):
            return _form(429, f"That came too soon after a wrong password: wait {seconds} s and try again.", seconds)
        if not self._gate.enter(address, given):
            seconds = math.ceil(self._gate.seconds_closed(address))
            return _form(403, f"That was not the password: wait {seconds} s and try again.", seconds)
        response = RedirectResponse(_next(request), 303)
        # The browser's own word for https: a proxy's is believed from this machine alone.
        is_secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:")
        response.set_cookie(
            COOKIE, self._passes.issue(), LIFE_SECONDS, httponly=True, samesite="strict", secure=is_secure
        )
        return response


def _refusal(request: Request) -> Response:
    """Return the way to the form for who opens a page, a sentence for what a page asks."""
    if request.method != "GET" or "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse(f"enter at {LOGIN} first\n", 401)
    if request.headers.get("sec-fetch-site") == "cross-site":
        # Who follows a link of another site shows no strict cookie; who then asks again, from here, does.
        return Response(headers={"Refresh": "0", "Cache-Control": "no-store"})
    asked = bytes(request.scope.get("raw_path") or b"/").decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    return RedirectResponse(f"{LOGIN}?next={quote(f'{asked}?{query}' if query else asked, safe='/')}", 303)


def _next(request: Request) -> str:
    """Return the page that was asked for, if it is one of ours."""
    asked = request.query_params.get("next", "")
    return asked if LOCAL.fullmatch(asked) else "/"


def _form(status: int = 200, told: str = "", wait_seconds: int = 0) -> Response:
    alert = f'<p id="told" role="alert">{html.escape(told)}</p>' if told else ""
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": str(wait_seconds)} if wait_seconds else {})
    return HTMLResponse(FORM.substitute(icon=ICON, alert=alert), status, headers)


async def _password(request: Request) -> bytes | None:
    """Return what was typed; None for a body that no form of ours sends."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            return None
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, errors="surrogateescape", max_num_fields=1)
        return fields["password"][0].encode("utf-8", "surrogateescape")
    except (ValueError, LookupError):
        return None


def _address(request: Request) -> str:
    return network(request.client.host[:ADDRESS_CHARACTERS] if request.client else "unknown")

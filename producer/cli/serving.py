"""api: the catalog system's calls over HTTP."""

import logging
import signal
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated

import typer

from worker.contract import settings as configuration
from worker.contract.errors import ShelverError

if TYPE_CHECKING:
    import uvicorn

logger = logging.getLogger("producer")


class CannotServe(ShelverError):
    """The HTTP service cannot start here."""


def api(
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 or :: for any")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0 for a free one")] = 8080,
) -> None:
    """Serve enqueue, status and predictions over HTTP, until stopped; /docs describes it.

    Callers show SHELVER_API_TOKEN, as Authorization: Bearer TOKEN. Without
    that variable it serves this machine alone. TLS and slow
    clients are a proxy's task.

    Each address may make SHELVER_API_RATE requests a minute. Behind a proxy on
    another machine, name the proxy's address in FORWARDED_ALLOW_IPS: then its
    callers are told apart.

    SIGTERM finishes the requests in hand, for SHELVER_SHUTDOWN_SECONDS at most.
    """
    settings = configuration.load()
    if not settings.api_token and not _is_loopback(host):
        raise CannotServe(
            f"{host} is reached from other machines: set SHELVER_API_TOKEN to what callers must show (openssl rand "
            "-hex 32 makes one), or leave --host at 127.0.0.1"
        )
    server = _server(settings)
    with _listen(host, port) as listener:
        logger.info("listening on %s, described at /docs", _url(listener))
        # Here too, because uvicorn raises the signal again when all is done: to be told to stop is no failure.
        signal.signal(signal.SIGTERM, server.handle_exit)
        server.run([listener])


def _server(settings: configuration.Settings) -> "uvicorn.Server":
    try:
        import uvicorn

        from producer.api.app import build
    except ModuleNotFoundError as error:
        raise CannotServe(f"{error.name} is missing: pip install 'shelver[api]'") from error
    config = uvicorn.Config(
        build(settings),
        log_config=None,  # ours
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    return uvicorn.Server(config)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family)
        # asyncio does this for sockets of its own alone; without it many an answer waits 40 ms for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]
        raise CannotServe(f"cannot listen on {host}, port {port}: {why}; choose with --host and --port") from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


COMMANDS = (api,)

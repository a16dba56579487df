"""api: the catalog system's calls over HTTP."""

import logging
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from producer import metrics
from worker.contract import settings as configuration
from worker.contract.listening import CannotServe, is_loopback, listen, url

if TYPE_CHECKING:
    import uvicorn

logger = logging.getLogger("producer")


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
    if not settings.api_token and not is_loopback(host):
        raise CannotServe(
            f"{host} is reached from other machines: set SHELVER_API_TOKEN to what callers must show (openssl rand "
            "-hex 32 makes one), or leave --host at 127.0.0.1"
        )
    server = _server(settings)
    metrics.start(settings, is_watcher=False)
    with listen(host, port) as listener:
        logger.info("listening on %s, described at /docs", url(listener))
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


COMMANDS = (api,)

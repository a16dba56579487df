"""python -m deploy.console: serve the analysts' page."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.contract import settings as configuration
from worker.contract.command import run
from worker.contract.listening import CannotServe, is_loopback, listen, url

if TYPE_CHECKING:
    import uvicorn

SCRIPT = Path(__file__).parent / "script.py"
#: for connections to end by themselves; a page that still computes is not waited for
SHUTDOWN_SECONDS = 2
MEGABYTE = 2**20
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def console(
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 or :: for any")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0 for a free one")] = 8501,
) -> None:
    """Serve the analysts' console, until stopped: classify, look at predictions, review, compare models, see the line.

    Which store, listings, queues and model it reads, SHELVER_ variables tell;
    shelver-worker settings lists them. It writes verdicts and nothing else.

    Analysts type SHELVER_CONSOLE_PASSWORD to enter. Without that variable it
    serves this machine alone. TLS is a proxy's task, which must pass on Host
    and WebSockets.
    """
    settings = configuration.load()
    if not settings.console_password and not is_loopback(host):
        raise CannotServe(
            f"{host} is reached from other machines: set SHELVER_CONSOLE_PASSWORD to what analysts must type, or leave "
            "--host at 127.0.0.1"
        )
    with listen(host, port) as listener:
        server = _server(settings)
        typer.echo(f"console at {url(listener)}")
        # Here too, because uvicorn raises the signal again when all is done: to be told to stop is no failure.
        signal.signal(signal.SIGTERM, server.handle_exit)
        server.run([listener])


def _server(settings: configuration.Settings) -> "uvicorn.Server":
    try:
        import uvicorn
        from starlette.middleware import Middleware
        from streamlit.starlette import App
        from streamlit.web.bootstrap import load_config_options

        from deploy.console.app import tell
        from deploy.console.entrance import Entrance
        from deploy.console.guard import Guard
    except ModuleNotFoundError as error:
        raise CannotServe(f"{error.name} is missing: pip install 'shelver[console]'") from error
    # As Streamlit's own command does: an App takes none, and reads no variables.
    load_config_options(_options(settings))
    password = settings.console_password
    front = [Middleware(Guard, is_local=not password)]
    if password:
        front.append(Middleware(Entrance, password=password))
    config = uvicorn.Config(
        App(SCRIPT, middleware=front, on_script_error=tell),
        log_config=None,  # ours
        server_header=False,
        ws="websockets-sansio",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return uvicorn.Server(config)


def _options(settings: configuration.Settings) -> dict[str, object]:
    return {
        "server.fileWatcherType": "none",
        "server.enableCORS": True,  # its name for the protection
        "server.enableXsrfProtection": True,
        # A little above, so that a picture that is just too large is told by us, with the setting's name.
        "server.maxUploadSize": settings.max_picture_bytes // MEGABYTE + 2,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "runner.magicEnabled": False,
        "logger.level": "warning",
        "logger.messageFormat": LOG_FORMAT,
        "logger.enableRich": False,
        "theme.base": "light",
        "theme.primaryColor": "#1f6fb4",
        "theme.baseFontSize": 15,
        "theme.headingFontSizes": ["1.75rem", "1.4rem", "1.2rem"],
        "theme.metricValueFontSize": "1.5rem",
    }


if __name__ == "__main__":
    run(app)

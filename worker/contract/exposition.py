"""/metrics over HTTP, for Prometheus, from threads beside a process' own work."""

import logging
import os
import threading
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from worker.contract.listening import listen

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

logger = logging.getLogger("metrics")

#: of a client that says nothing, or reads nothing
CLIENT_SECONDS = 10


class Exposition(ThreadingMixIn, WSGIServer):
    """Answers scrapes until the process ends, or until `close`."""

    daemon_threads = True

    def __init__(self, host: str, port: int, remedy: str = "choose with --host and --port"):
        """Listen there; raises CannotServe, which ends with the remedy. It answers from `start` on."""
        listener = listen(host, port, remedy)
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = host, listener.getsockname()[1]
        self.setup_environ()
        # A child that outlived us would hold the port.
        os.register_at_fork(after_in_child=self._let_go)

    def start(self, registry: "Collector") -> None:
        """Answer from now on."""
        from prometheus_client import disable_created_metrics, make_wsgi_app

        disable_created_metrics()  # when a series began, which Prometheus' text format has no place for
        self.set_app(make_wsgi_app(registry))
        threading.Thread(target=self.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Make nothing of a client that hung up or fell silent."""
        logger.debug("a scrape by %s came to nothing", client_address, exc_info=True)

    def _let_go(self) -> None:
        with suppress(OSError):
            self.socket.close()


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_SECONDS

    def log_message(self, format: str, *args: object) -> None:
        """Log no scrape."""

"""The model server as a whole: compose, start, stop; `serve` runs it as a process."""

import errno
import logging
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from trainer.serve.errors import ServeError
from trainer.serve.models import Models
from trainer.serve.pace import Pace
from trainer.serve.paced import paced
from trainer.serve.predict import LoadedModel
from trainer.serve.requests import Reading
from trainer.serve.services import ModelService, PredictionService
from trainer.serve.tls import credentials

GRACE_SECONDS = 5.0
POLL_SECONDS = 1.0
WAKE_SECONDS = 0.2
#: TensorFlow Serving's own limits, and its number of threads per core
OPTIONS = (
    ("grpc.max_receive_message_length", 2**31 - 1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # else a second server on the same port starts, and takes half of the requests
)
THREADS_PER_CORE = 4

logger = logging.getLogger("trainer.serve")


class ModelServer:
    """A running model server; a context manager that stops it."""

    def __init__(
        self,
        models_folder: Path,
        host: str = "127.0.0.1",
        port: int = 8500,
        poll_seconds: float = POLL_SECONDS,
        config_file: Path | None = None,
        ssl_config_file: Path | None = None,
        pace: Pace | None = None,
    ):
        """Load the models and listen; raise ServeError when there is nothing to serve or nowhere to listen.

        Port 0 chooses a free one. With a `config_file` the models and labels that it names are served, and no others;
        with an `ssl_config_file` clients must speak TLS; with a `pace` answers come at that, and are not the models'.
        """
        _check_free(host, port)
        self._credentials = credentials(ssl_config_file) if ssl_config_file else None
        self._pace = pace
        self._models = Models(models_folder, config_file, paced(pace) if pace else LoadedModel.load)
        self._models.start(poll_seconds)
        try:
            self._threads = ThreadPoolExecutor(THREADS_PER_CORE * (os.cpu_count() or 1), thread_name_prefix="answer")
            self._server = grpc.server(self._threads, interceptors=[Reading()], options=OPTIONS)
            prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
                PredictionService(self._models), self._server
            )
            model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self._models), self._server)
            self.address = _joined(host, self._listen(host, port))
        except BaseException:
            self._models.stop()
            raise
        self._server.start()
        if pace:
            logger.warning("%s; this is for benchmarks, never for production", pace)

    def __enter__(self) -> "ModelServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __str__(self) -> str:
        served = [f"{model.name} {model.version}" for model in self._models.served()]
        count = len({model.name for model in self._models.served()})
        told = f"serving {count} model{'' if count == 1 else 's'} on {self.address}: {', '.join(served)}"
        return f"{told}, {self._pace}" if self._pace else told

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Take no more requests, finish those in flight within the grace, cancel the rest, free the models."""
        self._server.stop(grace_seconds).wait()
        self._models.stop()
        self._threads.shutdown(wait=False)

    def _listen(self, host: str, port: int) -> int:
        address = _joined(host, port)
        try:
            if self._credentials:
                return self._server.add_secure_port(address, self._credentials)
            return self._server.add_insecure_port(address)
        except RuntimeError as error:
            pair = (
                "; or server_key and server_cert of --ssl-config-file are no pair in PEM" if self._credentials else ""
            )
            raise ServeError(
                f"cannot listen on {address}: choose an address of this machine with --host, "
                f"and a port you may use with --port{pair}"
            ) from error


def serve(
    models_folder: Path,
    host: str = "127.0.0.1",
    port: int = 8500,
    poll_seconds: float = POLL_SECONDS,
    grace_seconds: float = GRACE_SECONDS,
    config_file: Path | None = None,
    ssl_config_file: Path | None = None,
    pace: Pace | None = None,
) -> None:
    """Serve the models of a folder, or those that a config file names, until SIGINT or SIGTERM.

    Requests in flight have `grace_seconds` to finish. Prints one line when ready, with the address and what is served.
    Raises ServeError when it cannot start. To be called on the main thread, where signals arrive.
    """
    server = ModelServer(models_folder, host, port, poll_seconds, config_file, ssl_config_file, pace)
    stopping = threading.Event()
    # Only now: a signal while models load ends the process at once, for no request is in flight.
    former = {number: signal.signal(number, lambda *_: stopping.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        print(server, flush=True)
        # In turns: a signal that lands on one of TensorFlow's threads does not end an untimed wait of this one.
        while not stopping.wait(WAKE_SECONDS):
            pass
    finally:
        server.stop(grace_seconds)
        for number, handler in former.items():
            signal.signal(number, handler)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_free(host: str, port: int) -> None:
    """Raise ServeError when the port is taken, before the models are loaded; gRPC itself does not say why it fails."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ServeError(f"{host} is no address: give --host one of this machine, such as 127.0.0.1") from error
    for family, kind, protocol, _, address in addresses:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that lingers after a close is free
            try:
                probe.bind(address)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise ServeError(
                        f"port {port} on {host} is taken: stop what listens there or choose another with --port"
                    ) from error

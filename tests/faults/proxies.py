"""What stands before a server and breaks the way to it: the server and our own code know nothing of it."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import grpc

from deploy.local.servers import free_port

PREDICT = "/Predict"
CHUNK_BYTES = 2**16
#: of the model proxy: more than all children of a case call at once, calls they gave up included
THREADS = 32
LARGE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

#: (method, request as bytes) -> the status to answer with, or None to pass the call on; may sleep
Fault = Callable[[str, bytes], grpc.StatusCode | None]


def no_fault(method: str, request: bytes) -> None:
    """Pass every call on."""


def slow(seconds: float) -> Fault:
    """Let every prediction take this much longer."""

    def fault(method: str, request: bytes) -> None:
        if method.endswith(PREDICT):
            time.sleep(seconds)

    return fault


def failing(code: grpc.StatusCode) -> Fault:
    """Answer every call with this status."""
    return lambda method, request: code


class TcpProxy:
    """Passes bytes on to `upstream`, a (host, port) or a Unix socket's path, until it is cut."""

    def __init__(self, upstream: tuple[str, int] | str):
        self.port = free_port()
        self._upstream = upstream
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._flowing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self.restore()

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        self._do(self._cut())

    def stall(self) -> None:
        """Let no byte pass, and tell nobody: a network that swallows packets."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def restore(self) -> None:
        """Pass bytes on, again."""
        self._do(self._listen())

    def close(self) -> None:
        """Break everything, for good."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self) -> None:
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _cut(self) -> None:
        self._flowing.set()
        if self._server:
            self._server.close()
        self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.05)  # for them to end

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if isinstance(self._upstream, str):
                there, back = await asyncio.open_unix_connection(self._upstream)
            else:
                there, back = await asyncio.open_connection(*self._upstream)
            self._writers.add(back)
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
            self._writers.discard(back)
        except (OSError, asyncio.CancelledError):
            pass  # the server is away, or the way was cut
        finally:
            writer.close()
            self._writers.discard(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(CHUNK_BYTES):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


class ModelProxy(grpc.GenericRpcHandler):
    """Passes calls on to the model server at `target`, but for those that `fault` answers."""

    def __init__(self, target: str):
        self.fault: Fault = no_fault
        #: Predict calls that somebody waits for
        self.in_hand = 0
        self._lock = threading.Lock()
        self._channel = grpc.insecure_channel(target, LARGE)
        self._threads = ThreadPoolExecutor(THREADS)
        self._server = grpc.server(self._threads, handlers=[self], options=LARGE)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.stop(0).wait()
        self._channel.close()
        self._threads.shutdown()

    def heal(self) -> None:
        """Pass every call on, again."""
        self.fault = no_fault

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Take whatever method is called, and its messages as they are."""
        return grpc.unary_unary_rpc_method_handler(partial(self._answer, details.method))

    def _answer(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        predicts = method.endswith(PREDICT)
        self._count(predicts)
        try:
            if code := self.fault(method, request):
                context.abort(code, "this is a test")
            return self._channel.unary_unary(method)(request, timeout=context.time_remaining())
        except grpc.RpcError as error:
            return context.abort(error.code(), error.details())
        finally:
            self._count(-predicts)

    def _count(self, number: int) -> None:
        with self._lock:
            self.in_hand += number

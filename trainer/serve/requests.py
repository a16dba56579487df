"""A PredictRequest as it comes over the wire, of which the pixels are not copied.

Protobuf copies what it reads, and again what it is asked for: 22 MB in a request of 112 pictures, and page faults.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

PREDICT = "/tensorflow.serving.PredictionService/Predict"
#: shorter fields are cheaper to copy than to look for
MIN_BYTES = 2**16
#: how far to look, for a message may hold millions of fields; those that are looked for come early
MOST_FIELDS = 16
MOST_VARINT_BYTES = 10
#: the first bytes of fields, each with a length and so many bytes after: their number x 8 + 2
INPUT, ENTRY_VALUE, TENSOR_CONTENT = 0x12, 0x12, 0x22


@dataclass(frozen=True)
class Received:
    """A request, but for the bytes of its long input if it has one."""

    request: predict_pb2.PredictRequest
    #: name -> tensor_content of an input that is without it in the request
    contents: dict[str, memoryview]


def read(message: bytes) -> Received:
    """Return the request that a message holds; raises google.protobuf.message.DecodeError when it holds none."""
    try:
        others, entry = _cut(memoryview(message), INPUT)
        key, value = _cut(entry, ENTRY_VALUE)
        tensor, content = _cut(value, TENSOR_CONTENT)
    except LookupError:
        return Received(predict_pb2.PredictRequest.FromString(message), {})
    request = predict_pb2.PredictRequest.FromString(others)
    name = predict_pb2.PredictRequest.InputsEntry.FromString(key).key
    request.inputs[name].CopyFrom(tensor_pb2.TensorProto.FromString(tensor))
    return Received(request, {name: content})


class Reading(grpc.ServerInterceptor):
    """Gives a service's Predict what `read` returns."""

    def intercept_service(
        self, continuation: Callable[[Any], grpc.RpcMethodHandler | None], details: Any
    ) -> grpc.RpcMethodHandler | None:
        """Return the handler of a call."""
        handler = continuation(details)
        if handler is None or details.method != PREDICT:
            return handler
        return grpc.unary_unary_rpc_method_handler(handler.unary_unary, read, handler.response_serializer)


def _cut(message: memoryview, wanted: int) -> tuple[bytes, memoryview]:
    """Return a message without its first long field of the kind `wanted`, and that field; raises LookupError."""
    start = 0
    for _ in range(MOST_FIELDS):
        tag = message[start]
        size, position = _varint(message, start + 1)
        if tag & 0x87 == 2:  # of one byte, and with a length
            end = position + size
        elif tag & 0x87 == 0:  # the number itself
            size, end = 0, position
        else:
            break
        if end > len(message):
            break
        if tag == wanted and size >= MIN_BYTES:
            return bytes(message[:start]) + bytes(message[end:]), message[position:end]
        start = end
    raise LookupError


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the number at `position` and the position after it; raises LookupError."""
    number = 0
    for place in range(MOST_VARINT_BYTES):
        byte = message[position + place]
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, position + place + 1
    raise LookupError

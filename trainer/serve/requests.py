"""A PredictRequest as it comes over the wire, of which the pixels are not copied.

Protobuf copies what it reads, and again what it is asked for: 22 MB in a request of 112 pictures, and page faults.
The content of one long tensor is kept out of what it reads, where a request has the form that clients give it.
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
#: of a length, to protobuf; a number may have more, and is left to it
MOST_LENGTH_BYTES = 5
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
        return _read_around_content(memoryview(message))
    except LookupError:
        return Received(predict_pb2.PredictRequest.FromString(message), {})


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


def _read_around_content(message: memoryview) -> Received:
    """Return the request without the content of its first long input; raises LookupError when protobuf must read it.

    So it must where something is there twice: which of two counts, and what of the other, is protobuf's to say.
    """
    others, entry = _cut(message, INPUT)
    key, value = _cut(entry, ENTRY_VALUE)
    rest, content = _cut(value, TENSOR_CONTENT)
    request = predict_pb2.PredictRequest.FromString(others)
    name = predict_pb2.PredictRequest.InputsEntry.FromString(key).key
    tensor = tensor_pb2.TensorProto.FromString(rest)
    # What is there twice, or empty and so does not show, is not written again.
    is_plain = key == predict_pb2.PredictRequest.InputsEntry(key=name).SerializeToString()
    if not is_plain or name in request.inputs or tensor.tensor_content or rest != tensor.SerializeToString():
        raise LookupError
    request.inputs[name].CopyFrom(tensor)
    return Received(request, {name: content})


def _cut(message: memoryview, wanted: int) -> tuple[bytes, memoryview]:
    """Return a message without its first long field of the kind `wanted`, and that field; raises LookupError."""
    start = 0
    for _ in range(MOST_FIELDS):
        tag = message[start]
        size, position = _varint(message, start + 1)
        end = position + size if tag & 7 == 2 else position  # a length and so many bytes, or a number
        if tag & 0x87 not in (0, 2) or end > len(message):
            break
        if tag == wanted and size >= MIN_BYTES:
            return bytes(message[:start]) + bytes(message[end:]), message[position:end]
        start = end
    raise LookupError


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the number at `position` and the position after it; raises LookupError."""
    number = 0
    for place in range(MOST_LENGTH_BYTES):
        byte = message[position + place]
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, position + place + 1
    raise LookupError

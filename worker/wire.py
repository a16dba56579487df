"""A Predict request as it travels, put together by hand: its pictures are copied once.

protobuf would copy ten megabytes of pixels when they are set and again when they are written, into fresh memory each
time. A message is its fields in any order, so what protobuf has written of the rest is followed by the pictures.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.contract.serving_api import tensor_pb2, types_pb2

Pictures = Sequence[NDArray[np.uint8]] | Sequence[bytes]

#: tags, field number and type: PredictRequest.inputs, an entry's key and value, and of a TensorProto
INPUTS, KEY, VALUE = b"\x12", b"\x0a", b"\x12"
TENSOR_CONTENT, STRING_VAL = b"\x22", b"\x42"


def with_pictures(request: Any, name: str, pictures: Pictures) -> bytes:
    """Return a PredictRequest with one more input: pixels by their bytes, or encoded pictures one by one."""
    tensor, content = _tensor(pictures)
    size = bytes_of(content)
    entry = KEY + _sized(name.encode()) + VALUE + _varint(len(tensor) + size) + tensor
    return b"".join((request.SerializeToString(), INPUTS, _varint(len(entry) + size), entry, *content))


def bytes_of(pictures: Pictures) -> int:
    """Return how many bytes they are, all together."""
    return sum(len(each) if isinstance(each, bytes) else each.nbytes for each in pictures)


def _tensor(pictures: Pictures) -> tuple[bytes, list[Any]]:
    """Return a TensorProto's first part, and what follows it in pieces."""
    first = pictures[0]
    shape, pieces = [len(pictures)], list[Any]()
    if isinstance(first, bytes):
        tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING)
        for each in pictures:
            pieces += (STRING_VAL + _varint(len(each)), each)
    else:
        tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_UINT8)
        shape += first.shape
        pieces += (np.ascontiguousarray(each) for each in pictures)
    for size in shape:
        tensor.tensor_shape.dim.add().size = size
    head = tensor.SerializeToString()
    if not isinstance(first, bytes):
        head += TENSOR_CONTENT + _varint(bytes_of(pieces))
    return head, pieces


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _varint(number: int) -> bytes:
    """Return protobuf's form of a number: seven bits a byte, the lowest first; all but the last have the eighth set."""
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)

"""A Predict request as it travels, put together by hand: its pictures are copied once.

protobuf would copy ten megabytes of pixels when they are set and again when they are written, into fresh memory each
time. A message is its fields in any order, so that all else may follow the pictures as protobuf has written it.
"""

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from worker.contract.serving_api import tensor_pb2, types_pb2

#: tags, field number and type: PredictRequest.inputs, an entry's key and value, and of a TensorProto
INPUTS, KEY, VALUE = b"\x12", b"\x0a", b"\x12"
TENSOR_CONTENT, STRING_VAL = b"\x22", b"\x42"
#: names of inputs, with their lengths
PIXELS, JPEG = b"\x06pixels", b"\x04jpeg"
#: a length is known last and must not move what is behind it: it is written in as many as the longest takes
LENGTH_BYTES = 5
#: before the first pixel
HEAD_BYTES = len(INPUTS + KEY + PIXELS + VALUE + TENSOR_CONTENT) + 3 * LENGTH_BYTES


class Pixels:
    """N decoded pictures of one size, uint8[height, width, 3], where the request that takes them will have them."""

    def __init__(self) -> None:
        self._shape = (0, 0)
        self._count = 0
        self._message = io.BytesIO(bytes(HEAD_BYTES))
        self._message.seek(HEAD_BYTES)

    def append(self, pixels: bytes, height: int, width: int) -> None:
        """Add a picture; raises ValueError where it has another size than the first."""
        if not self._count:
            self._shape = (height, width)
        if (height, width) != self._shape:
            raise ValueError(f"a picture of {height} x {width} pixels among others of {self._shape}")
        self._message.write(pixels)
        self._count += 1

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        height, width = self._shape
        return self._count * height * width * 3

    def request(self, rest: bytes) -> bytes:
        """Return a PredictRequest with the input `pixels` and the fields in `rest`; CPython copies nothing for it."""
        shape = _tensor(types_pb2.DT_UINT8, self._count, *self._shape, 3)
        tensor_bytes = len(TENSOR_CONTENT) + LENGTH_BYTES + self.nbytes + len(shape)
        entry = KEY + PIXELS + VALUE + _length(tensor_bytes)
        head = INPUTS + _length(len(entry) + tensor_bytes) + entry + TENSOR_CONTENT + _length(self.nbytes)
        self._message.seek(0)
        self._message.write(head)
        self._message.seek(len(head) + self.nbytes)
        self._message.write(shape + rest)
        self._message.truncate()
        return self._message.getvalue()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        """Return a copy of one."""
        if not 0 <= row < self._count:
            raise IndexError(row)
        size = self.nbytes // self._count
        self._message.seek(HEAD_BYTES + row * size)
        return np.frombuffer(self._message.read(size), np.uint8).reshape(*self._shape, 3)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self[row] for row in range(self._count))


class Encoded(list[bytes]):
    """Pictures as they are stored."""

    @property
    def nbytes(self) -> int:
        """Bytes of all of them."""
        return sum(map(len, self))

    def request(self, rest: bytes) -> bytes:
        """Return a PredictRequest with the input `jpeg` and the fields in `rest`."""
        pieces = [_tensor(types_pb2.DT_STRING, len(self))]
        for each in self:
            pieces += (STRING_VAL + _length(len(each)), each)
        tensor_bytes = sum(map(len, pieces))
        entry = KEY + JPEG + VALUE + _length(tensor_bytes)
        return b"".join((INPUTS, _length(len(entry) + tensor_bytes), entry, *pieces, rest))


Pictures = Pixels | Encoded


def _tensor(kind: int, *shape: int) -> bytes:
    """Return a TensorProto without what it holds."""
    tensor = tensor_pb2.TensorProto(dtype=kind)
    for size in shape:
        tensor.tensor_shape.dim.add().size = size
    data: bytes = tensor.SerializeToString()
    return data


def _length(number: int) -> bytes:
    """Return protobuf's form of a number: seven bits a byte, the lowest first; all but the last have the eighth set."""
    return bytes(number >> shift & 0x7F | 0x80 for shift in (0, 7, 14, 21)) + bytes([number >> 28])

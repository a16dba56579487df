"""TensorProto to numpy and back, with the meaning TensorFlow gives each encoding.

Written in numpy although TensorFlow has `tf.io.parse_tensor`: on a malformed tensor that one prints the whole
proto, pictures included, to the log, and it allocates whatever shape a few bytes claim.
"""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from trainer.serve.errors import StatusError

#: the typed field of each dtype, and the numpy type of one entry of that field
FIELDS: dict[int, tuple[str, type[np.generic]]] = {
    types_pb2.DT_FLOAT: ("float_val", np.float32),
    types_pb2.DT_DOUBLE: ("double_val", np.float64),
    types_pb2.DT_BOOL: ("bool_val", np.bool_),
    types_pb2.DT_INT64: ("int64_val", np.int64),
    types_pb2.DT_UINT32: ("uint32_val", np.uint32),
    types_pb2.DT_UINT64: ("uint64_val", np.uint64),
    types_pb2.DT_STRING: ("string_val", np.object_),
    types_pb2.DT_HALF: ("half_val", np.uint16),  # the 16 bits of each number, as an integer
    types_pb2.DT_BFLOAT16: ("half_val", np.uint16),
    types_pb2.DT_COMPLEX64: ("scomplex_val", np.float32),  # real and imaginary parts by turns
    types_pb2.DT_COMPLEX128: ("dcomplex_val", np.float64),
    **dict.fromkeys(
        (types_pb2.DT_INT8, types_pb2.DT_INT16, types_pb2.DT_INT32, types_pb2.DT_UINT8, types_pb2.DT_UINT16),
        ("int_val", np.int32),
    ),
}
#: dtypes whose entry in the field is not the number itself but its bits or half of it
NUMPY = {
    types_pb2.DT_HALF: np.float16,
    types_pb2.DT_BFLOAT16: tf.bfloat16.as_numpy_dtype,
    types_pb2.DT_COMPLEX64: np.complex64,
    types_pb2.DT_COMPLEX128: np.complex128,
}
#: TensorFlow's limit on the rank of a tensor
MAX_DIMENSIONS = 254
#: what a tensor that repeats its last value may grow to: plenty for a constant, no danger to the server
MAX_REPEATED_BYTES = 64 * 2**20
#: of one string in TensorFlow's memory, beside its text
STRING_BYTES = 24
#: of the seven-bit groups of a 32-bit varint
VARINT_SHIFTS = range(0, 35, 7)


def dtype_name(dtype: int) -> str:
    """Return TensorFlow's short name of a dtype ("float", "uint8"); the number when there is no such dtype."""
    known = dtype in types_pb2.DataType.values()
    return types_pb2.DataType.Name(dtype).removeprefix("DT_").lower() if known else f"dtype {dtype}"


def decode(
    name: str, proto: tensor_pb2.TensorProto, dtype: tf.DType, shape: tf.TensorShape, content: memoryview | None = None
) -> np.ndarray:
    """Return the array that `proto` holds, as bytes or as typed values, for the input `name` of a signature.

    `content` is the tensor_content of a proto that is without it. As in TensorFlow, the last typed value is repeated
    to fill the shape, none at all means zeros, and values beyond the shape are dropped. Raises StatusError
    INVALID_ARGUMENT when dtype or shape differ from the signature's or the content does not fit the shape; nothing is
    allocated before that is known.
    """
    if proto.dtype != dtype.as_datatype_enum:
        raise _refused(
            f"Expected input {name} to be {dtype_name(dtype.as_datatype_enum)} but got {dtype_name(proto.dtype)}"
        )
    if proto.dtype not in FIELDS:
        raise StatusError(
            grpc.StatusCode.UNIMPLEMENTED, f"input {name}: {dtype_name(proto.dtype)} is not taken by this server"
        )
    dimensions = [dimension.size for dimension in proto.tensor_shape.dim]
    if len(dimensions) > MAX_DIMENSIONS or any(size < 0 for size in dimensions):
        raise _refused(f"tensor parsing error: {name} has no valid shape")
    if not shape.is_compatible_with(dimensions):
        raise _refused(f"Expected input {name} to have shape {shape} but got {tf.TensorShape(dimensions)}")
    count, content = math.prod(dimensions), content or proto.tensor_content
    values = _from_content(name, proto.dtype, content, count) if content else _from_values(name, proto, count)
    return values.reshape(dimensions)


def encode(value: object, dtype: tf.DType) -> tensor_pb2.TensorProto:
    """Return `value` with one typed entry per element, as TensorFlow Serving answers; never as tensor_content.

    Raises StatusError UNIMPLEMENTED for a dtype that has no typed field here.
    """
    number = dtype.as_datatype_enum
    if number not in FIELDS:
        raise StatusError(
            grpc.StatusCode.UNIMPLEMENTED, f"an output of {dtype_name(number)} is not given by this server"
        )
    field, entry = FIELDS[number]
    array = np.asarray(value, dtype=dtype.as_numpy_dtype)
    proto = tensor_pb2.TensorProto(dtype=number, tensor_shape=tf.TensorShape(array.shape).as_proto())
    flat = array.reshape(-1)
    getattr(proto, field).extend((flat.view(entry) if number in NUMPY else flat).tolist())
    return proto


def _refused(message: str) -> StatusError:
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)


def _from_content(name: str, number: int, content: bytes | memoryview, count: int) -> np.ndarray:
    if number == types_pb2.DT_STRING:
        return _strings(name, bytes(content), count)
    dtype = np.dtype(NUMPY.get(number) or tf.as_dtype(number).as_numpy_dtype)
    if len(content) != count * dtype.itemsize:
        raise _refused(f"tensor parsing error: {name} has {len(content)} bytes for {count * dtype.itemsize}")
    return np.frombuffer(content, dtype)


def _strings(name: str, content: bytes, count: int) -> np.ndarray:
    """Return the strings of a tensor_content: all lengths as varints, then all texts."""
    lengths: list[int] = []
    position = 0
    # A claim of more strings than there are bytes ends here, at the last byte.
    while len(lengths) < count and position < len(content):
        length, position = _varint(content, position)
        lengths.append(length)
    if len(lengths) < count or position + sum(lengths) != len(content):
        raise _refused(f"tensor parsing error: the bytes of {name} are not {count} strings")
    ends = list(accumulate(lengths, initial=position))
    return _objects([content[start:end] for start, end in pairwise(ends)])


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """Return the number at `position` and the position after it; a number cut short is the part that is there."""
    number = 0
    for shift, byte in zip(VARINT_SHIFTS, content[position : position + len(VARINT_SHIFTS)], strict=False):
        number |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            break
    return number, position


def _from_values(name: str, proto: tensor_pb2.TensorProto, count: int) -> np.ndarray:
    field, entry = FIELDS[proto.dtype]
    values = getattr(proto, field)
    if proto.dtype == types_pb2.DT_STRING:
        return _filled(name, _objects(values[:count]), count, STRING_BYTES + (len(values[-1]) if values else 0))
    # half_val travels as int32: wide enough for every field, narrowed to 16 bits below.
    width = np.dtype(NUMPY.get(proto.dtype, entry)).itemsize // np.dtype(entry).itemsize
    if len(values) % width:
        raise _refused(f"tensor parsing error: {name} has half a complex number")
    wire = np.int32 if field == "half_val" else entry
    flat = np.fromiter(values, wire, min(len(values), count * width)).astype(entry, copy=False)
    dtype = np.dtype(tf.as_dtype(proto.dtype).as_numpy_dtype)
    return _filled(name, flat.view(dtype) if proto.dtype in NUMPY else flat.astype(dtype), count, dtype.itemsize)


def _objects(texts: Sequence[bytes]) -> np.ndarray:
    # Not np.array: its bytes type drops trailing zeros.
    return np.fromiter(texts, np.object_, len(texts))


def _filled(name: str, values: np.ndarray, count: int, item_bytes: int) -> np.ndarray:
    """Return `count` values: those missing at the end repeat the last one, or are zero or empty if there is none."""
    missing = count - len(values)
    if not missing:
        return values
    if missing * item_bytes > MAX_REPEATED_BYTES:
        raise _refused(f"tensor parsing error: {name} claims {count} elements and holds {len(values)}")
    nothing = _objects([b""]) if values.dtype == np.object_ else np.zeros(1, values.dtype)
    return np.concatenate([values, np.repeat(values[-1:] if len(values) else nothing, missing)])

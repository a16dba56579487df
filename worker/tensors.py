"""TensorProto to numpy and back, and what a signature says of its tensors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.contract.serving_api import tensor_pb2, types_pb2
from worker.contract.signature import Tensor

DTYPES = {
    "uint8": (types_pb2.DT_UINT8, "int_val"),
    "int32": (types_pb2.DT_INT32, "int_val"),
    "int64": (types_pb2.DT_INT64, "int64_val"),
    "float32": (types_pb2.DT_FLOAT, "float_val"),
    "bytes": (types_pb2.DT_STRING, "string_val"),
}
NAMES = {number: name for name, (number, _) in DTYPES.items()}


def to_proto(values: NDArray[Any]) -> Any:
    """Return a TensorProto of an array, by its bytes. Pictures have a way of their own (worker/wire.py)."""
    tensor = tensor_pb2.TensorProto(dtype=DTYPES[str(values.dtype)][0], tensor_content=values.tobytes())
    for size in values.shape:
        tensor.tensor_shape.dim.add().size = size
    return tensor


def from_proto(tensor: Any) -> NDArray[Any]:
    """Read a numeric tensor in either encoding; a single value may stand for all (TensorProto's own rule)."""
    name = NAMES[tensor.dtype]
    shape = [dimension.size for dimension in tensor.tensor_shape.dim]
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, name).reshape(shape)
    values = np.array(getattr(tensor, DTYPES[name][1]), name)
    return np.broadcast_to(values[0], shape) if values.size == 1 else values.reshape(shape)


def describe(tensors: Any) -> dict[str, Tensor]:
    """Return name -> dtype and shape of the inputs or outputs of a signature."""
    return {name: _describe_one(info) for name, info in tensors.items()}


def _describe_one(info: Any) -> Tensor:
    shape = tuple(None if dimension.size < 0 else int(dimension.size) for dimension in info.tensor_shape.dim)
    return Tensor(NAMES.get(info.dtype) or types_pb2.DataType.Name(info.dtype), shape)

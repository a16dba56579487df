"""Read a PyTorch checkpoint in the legacy (pre-1.6) pickle format with numpy alone.

Layout of such a file: five pickles one after the other (magic number, protocol, system info, the state
dict, the list of storage keys), then every storage as an int64 element count and its raw little-endian
bytes. Source: torch/serialization.py, `_legacy_load`.
"""

import pickle
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from worker.contract.errors import ShelverError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
STORAGE_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class WeightsError(ShelverError):
    """The file is not a checkpoint that this reader admits."""


@dataclass(frozen=True)
class _Tensor:
    """A strided view into a storage that is read later; offset and strides are in elements."""

    storage_key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: str, offset: int, shape: Sequence[int], strides: Sequence[int], *_: object) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    """Admits the four names a plain state dict needs; any other name ends the reading, unexecuted."""

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.dtypes: dict[str, np.dtype] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        raise WeightsError(f"the checkpoint asks for {module}.{name}: only plain float32 state dicts are read")

    def persistent_load(self, pid: Any) -> str:
        kind, dtype, key, *_ = pid
        if kind != "storage":
            raise WeightsError(f"the checkpoint holds a {kind!r}: only plain state dicts are read")
        self.dtypes[key] = dtype
        return key


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """Return the state dict of `path` as name -> array, in PyTorch's own shapes (O, I, H, W for kernels).

    Raises WeightsError when the file is of another format, is cut, or holds anything but tensors.
    """
    with path.open("rb") as file:
        try:
            if _Unpickler(file).load() != MAGIC_NUMBER:
                raise WeightsError("it starts with another number")
            for _ in range(2):  # protocol version and system info: nothing in them changes how we read
                _Unpickler(file).load()
            reader = _Unpickler(file)
            tensors = reader.load()
            storages = {key: _read_storage(file, reader.dtypes[key]) for key in _Unpickler(file).load()}
            return {name: _view(tensor, storages) for name, tensor in tensors.items()}
        except Exception as error:  # a hostile pickle can fail in any way; nothing of it has been executed
            raise WeightsError(f"{path} is damaged or not a legacy PyTorch checkpoint: {error}") from error


def _read_storage(file: BinaryIO, dtype: np.dtype) -> np.ndarray:
    count = int.from_bytes(file.read(8), "little")
    data = file.read(count * dtype.itemsize)
    return np.frombuffer(data, dtype, count)


def _view(tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    storage = storages[tensor.storage_key][tensor.offset :]
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if min(tensor.strides, default=0) < 0 or last >= storage.size:
        raise WeightsError("a tensor of the checkpoint reaches past its storage: the file is damaged")
    strides = [stride * storage.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(storage, tensor.shape, strides).copy()

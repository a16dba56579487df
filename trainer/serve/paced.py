"""A model that takes its time and computes nothing, for benchmarks of what stands around it."""

import math
import threading
import time

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from trainer.serve.errors import StatusError
from trainer.serve.loading import Open
from trainer.serve.pace import Device, Pace
from trainer.serve.predict import LoadedModel
from trainer.serve.tensors import encode
from worker.contract.signature import Signature, inputs, outputs

#: of each of Shelver's signatures; what else a SavedModel lists, such as its initialiser, has none
INPUTS = {kind.value: set(inputs(kind)) for kind in Signature}


class PacedModel(LoadedModel):
    """A version that says of every row what the model said of one plain picture, at a given pace.

    Requests are refused as ever, but for JPEGs that nobody can decode. Which pictures are whose shows in the output
    `pictures` alone, which workers check.
    """

    def __init__(self, real: LoadedModel, pace: Pace, device: Device):
        """Ask `real` once in each signature; raise StatusError when it fails, or is none of Shelver's."""
        super().__init__(real.name, real.version, real._session, real.signatures)
        _check(real)
        self._pace = pace
        self._device = device
        self._rows = {name: _rows(real, name) for name in INPUTS if name in real.signatures}
        self._closed = threading.Event()

    def close(self) -> None:
        """Fail what waits with CANCELLED and free the memory."""
        self._closed.set()
        super().close()

    def _answer(
        self, name: str, wanted: list[str], fed: dict[str, np.ndarray], timeout_seconds: float | None
    ) -> dict[str, tensor_pb2.TensorProto]:
        if name not in self._rows:
            return super()._answer(name, wanted, fed, timeout_seconds)
        came, count = time.monotonic(), _count(fed)
        deadline = math.inf if timeout_seconds is None else came + timeout_seconds
        done = self._device.done_at(came, self._pace.seconds(count), deadline)
        # While it has the device, not after: this time is the server's own.
        answer = {alias: self._rows[name][alias].times(count) for alias in wanted if alias != "pictures"}
        if "pictures" in wanted:
            answer["pictures"] = encode(counted(fed["product"], fed["picture"]), tf.int32)
        self._wait(min(done, deadline))
        if done > deadline:
            raise StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline ended before the model's turn did")
        return answer

    def _wait(self, until: float) -> None:
        seconds = until - time.monotonic()
        if seconds > 0 and self._closed.wait(min(seconds, threading.TIMEOUT_MAX)):
            raise StatusError(grpc.StatusCode.CANCELLED, "the server stops")


class Row:
    """One row of an output, to be repeated."""

    def __init__(self, proto: tensor_pb2.TensorProto):
        """Take the row from float32[1, K], say, with typed values."""
        _, *self._sizes = (dimension.size for dimension in proto.tensor_shape.dim)
        self._dtype = proto.dtype
        values = tensor_pb2.TensorProto()
        values.CopyFrom(proto)
        values.ClearField("tensor_shape")
        self._values = values.SerializeToString()

    def times(self, count: int) -> tensor_pb2.TensorProto:
        """Return it `count` times, as TensorFlow Serving encodes: a worker that reads it has its usual work."""
        made = tensor_pb2.TensorProto(dtype=self._dtype)
        made.MergeFromString(self._values * count)  # of messages one after another, protobuf adds up what is repeated
        for size in (count, *self._sizes):
            made.tensor_shape.dim.add(size=size)
        return made


def paced(pace: Pace) -> Open:
    """Return what opens models that share one device at this pace."""
    device = Device()
    return lambda name, version, folder: PacedModel(LoadedModel.load(name, version, folder), pace, device)


def counted(product: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Return int[N]: how many distinct pictures the product of each row has, as trainer.graph counts them."""
    _, owner = np.unique(product, return_inverse=True)
    _, firsts = np.unique(owner * 2**32 + picture, return_index=True)
    return np.bincount(owner[firsts])[owner]


def _check(model: LoadedModel) -> None:
    strange = any(set(each.inputs) != INPUTS.get(name, set()) for name, each in model.signatures.items())
    known = [each for name, each in model.signatures.items() if name in INPUTS]
    if strange or not known or any(outputs().keys() - set(each.outputs) for each in known):
        raise StatusError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"{model.name} {model.version} is none of Shelver's models, which take product, picture, and pixels or "
            "jpeg: only these can be served with --pace",
        )


def _rows(model: LoadedModel, name: str) -> dict[str, Row]:
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = name
    for alias, info in model.signatures[name].inputs.items():
        request.inputs[alias].CopyFrom(_plain(info))
    return {alias: Row(proto) for alias, proto in model.predict(request).outputs.items()}


def _plain(info: meta_graph_pb2.TensorInfo) -> tensor_pb2.TensorProto:
    """Return one row of an input: black pixels, a black JPEG, 0."""
    shape = [max(1, dimension.size) for dimension in info.tensor_shape.dim]
    black = tf.io.encode_jpeg(np.zeros((1, 1, 3), np.uint8)).numpy()
    value = np.full(shape, black, object) if info.dtype == types_pb2.DT_STRING else np.zeros(shape)
    return encode(value, tf.as_dtype(info.dtype))


def _count(fed: dict[str, np.ndarray]) -> int:
    """Return how many rows all inputs have; raise StatusError when they differ."""
    counts = {alias: len(value) for alias, value in fed.items()}
    if len(set(counts.values())) > 1:
        raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, f"inputs differ in their number of rows: {counts}")
    return counts["product"]

"""One loaded SavedModel and a Predict call on it.

A session, not `tf.saved_model.load`: TensorFlow Serving runs a session too, so inputs, errors and deadlines are
the same; only the outputs asked for are computed; and closing it frees the model at once and stops what still runs.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from trainer.serve import warmup
from trainer.serve.errors import StatusError, from_tensorflow
from trainer.serve.tensors import decode, encode

DEFAULT_SIGNATURE = "serving_default"
#: the graph that a SavedModel keeps for servers
TAGS = ["serve"]
MAX_TIMEOUT_MS = 2**31 - 1

logger = logging.getLogger("trainer.serve")
# The session loader announces its age at every load.
tf.get_logger().addFilter(lambda record: "loader_impl) is deprecated" not in record.getMessage())


class LoadedModel:
    """One version of a model, ready to answer; its memory is freed when the last reference goes."""

    def __init__(
        self,
        name: str,
        version: int,
        session: tf.compat.v1.Session,
        signatures: Mapping[str, meta_graph_pb2.SignatureDef],
    ):
        self.name = name
        self.version = version
        self.signatures = signatures
        self._session = session

    @staticmethod
    def load(name: str, version: int, folder: Path) -> "LoadedModel":
        """Load a SavedModel and replay its warm-up requests; raise StatusError when it cannot be served."""
        if not tf.saved_model.contains_saved_model(str(folder)):
            raise StatusError(grpc.StatusCode.NOT_FOUND, f"there is no saved_model.pb in {folder}")
        try:
            session = tf.compat.v1.Session(graph=tf.Graph())
            with session.graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(session, TAGS, str(folder))
            model = LoadedModel(name, version, session, dict(meta_graph.signature_def))
            played = warmup.replay(folder, model.predict)
        except StatusError:
            raise
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error
        except Exception as error:
            # A damaged folder shows in many ways: bad protos, no such tag, missing files.
            raise StatusError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}") from error
        logger.info("%s %d: loaded, %d warm-up requests answered", name, version, played)
        return model

    def predict(
        self,
        request: predict_pb2.PredictRequest,
        timeout_seconds: float | None = None,
        contents: Mapping[str, memoryview] = MappingProxyType({}),
    ) -> predict_pb2.PredictResponse:
        """Run the request's signature on its inputs; the response holds the outputs of its filter, or all.

        `contents` are those of inputs that are without them in the request; see trainer.serve.requests.

        Raises StatusError FAILED_PRECONDITION for an unknown signature, INVALID_ARGUMENT for inputs or a filter that
        do not fit it, DEADLINE_EXCEEDED after `timeout_seconds`, and what the graph itself fails with.
        """
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self.signatures.get(name)
        if signature is None:
            raise StatusError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        fed = self._inputs(signature, request, contents)
        answer = self._answer(name, _outputs(signature, request.output_filter), fed, timeout_seconds)
        response = predict_pb2.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = self.version
        response.model_spec.signature_name = name
        for alias, proto in answer.items():
            response.outputs[alias].CopyFrom(proto)
        return response

    def close(self) -> None:
        """Stop what runs and free the memory; a Predict call under way fails with CANCELLED."""
        self._session.close()

    def _inputs(
        self,
        signature: meta_graph_pb2.SignatureDef,
        request: predict_pb2.PredictRequest,
        contents: Mapping[str, memoryview],
    ) -> dict[str, np.ndarray]:
        sent, expected = set(request.inputs), set(signature.inputs)
        missing = expected - sent - set(signature.defaults)
        if missing or sent - expected:
            raise StatusError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"inputs do not match the signature: sent {_set(sent)}, expected {_set(expected)}. "
                f"Sent extra: {_set(sent - expected)}. Missing but required: {_set(missing)}.",
            )
        fed = {}
        for alias, info in signature.inputs.items():
            tensor = self._tensor(info)
            proto = request.inputs[alias] if alias in sent else signature.defaults[alias]
            fed[alias] = decode(alias, proto, tensor.dtype, tensor.shape, contents.get(alias))
        return fed

    def _answer(
        self, name: str, wanted: list[str], fed: dict[str, np.ndarray], timeout_seconds: float | None
    ) -> dict[str, tensor_pb2.TensorProto]:
        """Return the outputs `wanted` of the signature `name`."""
        signature = self.signatures[name]
        tensors = [self._tensor(signature.outputs[alias]) for alias in wanted]
        values = self._run(
            tensors, {self._tensor(signature.inputs[alias]): value for alias, value in fed.items()}, timeout_seconds
        )
        return {
            alias: encode(value, tensor.dtype) for alias, tensor, value in zip(wanted, tensors, values, strict=True)
        }

    def _tensor(self, info: meta_graph_pb2.TensorInfo) -> tf.Tensor:
        try:
            return self._session.graph.get_tensor_by_name(info.name)
        except (KeyError, ValueError):
            # Such as the initialiser that every SavedModel lists among its signatures: an operation, no tensor.
            raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, f"{info.name!r} is no tensor of the model") from None

    def _run(
        self, wanted: list[tf.Tensor], fed: dict[tf.Tensor, np.ndarray], timeout_seconds: float | None
    ) -> list[object]:
        options = tf.compat.v1.RunOptions()
        if timeout_seconds is not None:
            # 0 would mean no limit; gRPC tells a client without a deadline as one of 292 billion years.
            options.timeout_in_ms = min(max(1, int(timeout_seconds * 1000)), MAX_TIMEOUT_MS)
        try:
            return self._session.run(wanted, fed, options=options)
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error


def _outputs(signature: meta_graph_pb2.SignatureDef, output_filter: Iterable[str]) -> list[str]:
    chosen: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise StatusError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {alias}. Expected one of {_set(signature.outputs)}.",
            )
        if alias in chosen:
            raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, f"duplicate output tensor alias: {alias}")
        chosen.append(alias)
    return chosen or list(signature.outputs)


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"

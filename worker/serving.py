"""The TensorFlow Serving client: what the model is, and one Predict call."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from worker.contract.errors import ModelUnfit, ShelverError, Unavailable
from worker.contract.product import Product
from worker.contract.settings import Settings
from worker.contract.signature import PREFIXES, Signature, inputs, misfits, outputs
from worker.outcome import Prediction
from worker.pictures import Batch
from worker.serving_api import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc
from worker.tensors import describe, from_proto, to_proto

#: room for the labels and shapes around the pictures of a request
MESSAGE_OVERHEAD_BYTES = 2**20
#: while a call is under way; on an idle connection a server takes such pings for an attack, and hangs up
KEEPALIVE_MILLISECONDS = 30_000
#: how long the server's word about its model holds: a new version must be noticed even by a worker that finds every
#: product predicted by the old one, and so never calls Predict
MODEL_AGE_SECONDS = 1.0

WAITING_HELPS = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
}


class Refused(ShelverError):
    """The model refuses these very pictures (INVALID_ARGUMENT)."""


@dataclass(frozen=True, slots=True)
class Model:
    """What the server says of the model it serves now."""

    version: int
    #: pixels; None when the server has the jpeg signature alone
    side: int | None


class Serving:
    """One channel to the model server. Build it after fork: gRPC does not survive one."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._model: Model | None = None
        self._asked_at = 0.0  # on the monotonic clock
        self._channel = grpc.insecure_channel(_target(settings.serving_address), _options(settings))
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def model(self) -> Model:
        """Return the model that is served, as the server said a second ago at most.

        Raises ModelUnfit when it is missing or has other inputs or outputs, Unavailable when nobody answers.
        """
        now = time.monotonic()
        if self._model is None or now - self._asked_at > MODEL_AGE_SECONDS:
            self._model, self._asked_at = self._ask_model(), now
        return self._model

    def predict(self, batch: Batch) -> list[Prediction]:
        """Return one prediction for every product of the batch, in its order, from one Predict call.

        Raises Refused when the pictures are at fault, ModelUnfit when the model is, else Unavailable.
        """
        answer = self._call(self._stub.Predict, self._request(batch), self._settings.predict_timeout_seconds)
        version = int(answer.model_spec.version.value)
        ranked = {level: _ranked(answer.outputs, prefix) for level, prefix in PREFIXES.items()}
        counted = from_proto(answer.outputs["pictures"])
        firsts = np.flatnonzero(np.diff(batch.product, prepend=~batch.product[:1]))  # a product's pictures are adjacent
        sent = np.diff(firsts, append=len(batch.product))
        return [
            _prediction(product, version, ranked, counted, row, count, self._say(version))
            for product, row, count in zip(batch.products, firsts.tolist(), sent.tolist(), strict=True)
        ]

    def _request(self, batch: Batch) -> Any:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._settings.model_name
        request.model_spec.signature_name = self._settings.model_signature.value
        name = "pixels" if isinstance(batch.pictures, np.ndarray) else "jpeg"
        for key, values in ((name, batch.pictures), ("product", batch.product), ("picture", batch.picture)):
            request.inputs[key].CopyFrom(to_proto(values))
        return request

    def _ask_model(self) -> Model:
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = self._settings.model_name
        answer = self._call(self._stub.GetModelMetadata, request, self._settings.connect_timeout_seconds)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        version = int(answer.model_spec.version.value)
        wanted = self._settings.model_signature
        if wanted.value not in signatures.signature_def:
            raise ModelUnfit(
                f"{self._say(version)} has no signature {wanted.value}: publish it with shelver-trainer, or set "
                f"SHELVER_SIGNATURE={'pixels' if wanted is Signature.JPEG else 'jpeg'}"
            )
        definition = signatures.signature_def[wanted.value]
        problems = [
            *misfits("input", inputs(wanted), describe(definition.inputs)),
            *misfits("output", outputs(), describe(definition.outputs)),
        ]
        if problems:
            raise ModelUnfit(
                f"{self._say(version)} does not fit: {'; '.join(problems)}; publish it with shelver-trainer"
            )
        side = _side(signatures)
        if wanted is Signature.PIXELS and side is None:
            raise ModelUnfit(f"{self._say(version)} does not say which square of pixels it takes; publish it anew")
        return Model(version, side)

    def _call(self, method: Callable[..., Any], request: Any, timeout_seconds: float) -> Any:
        try:
            return method(request, timeout=timeout_seconds)
        except grpc.RpcError as error:
            code, detail = error.code(), (error.details() or "")[:300]
            if code not in WAITING_HELPS:
                self._model = None  # it may have become another one: ask before the next call
            if code is grpc.StatusCode.INVALID_ARGUMENT:
                raise Refused(detail) from error
            place = f"the model server at {self._settings.serving_address}"
            if code in WAITING_HELPS:
                raise Unavailable(
                    f"{place} does not answer (SHELVER_SERVING_ADDRESS): {code.name}: {detail}"
                ) from error
            raise ModelUnfit(
                f"{place} does not serve {self._settings.model_name} (SHELVER_MODEL_NAME): {code.name}: {detail}; "
                "publish the model there or name one that it has"
            ) from error

    def _say(self, version: int) -> str:
        return f"model {self._settings.model_name} version {version} at {self._settings.serving_address}"


def _target(address: str) -> str:
    """One name may stand for several replicas: look all of them up, and take turns."""
    return f"dns:///{address}"


def _options(settings: Settings) -> list[tuple[str, Any]]:
    # Larger of the two signatures: nothing is known of the model yet, and the limit only guards our own memory.
    largest = settings.max_batch_pictures * max(settings.max_picture_bytes, 1024 * 1024 * 3) + MESSAGE_OVERHEAD_BYTES
    return [
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.max_send_message_length", min(largest, 2**31 - 1)),
        ("grpc.max_receive_message_length", min(largest, 2**31 - 1)),
        ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
        ("grpc.enable_retries", 0),  # waiting is the pipeline's business: one place decides how long
    ]


def _ranked(tensors: Any, prefix: str) -> tuple[NDArray[Any], NDArray[Any]]:
    return from_proto(tensors[f"{prefix}category"]), from_proto(tensors[f"{prefix}score"])


def _prediction(
    product: Product,
    version: int,
    ranked: dict[int, tuple[NDArray[Any], NDArray[Any]]],
    counted: NDArray[Any],
    row: int,
    sent: int,
    model: str,
) -> Prediction:
    if counted[row] != sent:
        raise ModelUnfit(
            f"{model} averaged {counted[row]} pictures of product {product.id} where {sent} were sent: its graph does "
            "not keep products apart; publish it with shelver-trainer"
        )
    if not all(np.isfinite(scores[row]).all() for _, scores in ranked.values()):
        raise ModelUnfit(f"{model} gives product {product.id} a score that is no number: publish a sound version")
    best = {level: list(_pairs(ids[row], scores[row])) for level, (ids, scores) in ranked.items()}
    return Prediction(product, version, best[3], best[2][0], best[1][0], sent)


def _pairs(ids: NDArray[Any], scores: NDArray[Any]) -> Iterable[tuple[int, float]]:
    return zip(ids.tolist(), scores.tolist(), strict=True)


def _side(signatures: Any) -> int | None:
    if Signature.PIXELS.value not in signatures.signature_def:
        return None
    pixels = describe(signatures.signature_def[Signature.PIXELS.value].inputs).get("pixels")
    if pixels is None or len(pixels.shape) != 4 or pixels.shape[1] != pixels.shape[2]:
        return None
    return pixels.shape[1]

"""The TensorFlow Serving client: what the model is, and one Predict call."""

import math
import time
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from worker.channel import OVERHEAD_BYTES, ROW_BYTES, Channel
from worker.contract.errors import ModelUnfit, ShelverError, Unavailable
from worker.contract.grpc_channel import explain
from worker.contract.serving_api import get_model_metadata_pb2, predict_pb2
from worker.contract.settings import Settings
from worker.contract.signature import PREFIXES, Signature
from worker.model import Model, read
from worker.outcome import Prediction
from worker.pictures import Batch
from worker.rollout import CANARY
from worker.tensors import from_proto, to_proto

#: after a refusal; they take turns, so that this reaches each of as many
REPLICAS_ASKED = 8
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
    """The model refuses these very pictures (INVALID_ARGUMENT), or answers no number for them."""


class Unlabelled(ModelUnfit):
    """No version has the label that is asked for."""


class Serving:
    """The model server, all its replicas, and of its models the one that a version label is on. Use it after fork.

    What is known of that model is this client's own: others' may take other pictures and give longer answers. A label
    may move between two calls: an answer is of the version that it names.
    """

    def __init__(self, settings: Settings, label: str | None = None):
        self._settings = settings
        #: "" is on the newest version
        self._label = settings.model_label if label is None else label
        self._model: Model | None = None
        self._asked_at = 0.0  # on the monotonic clock
        self._is_in_doubt = False
        #: on the monotonic clock: every call ends then at the latest, and fails
        self.deadline = math.inf
        self._channel = Channel(settings)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def model(self) -> Model:
        """Return the model that is served, as the server said a second ago at most.

        Raises ModelUnfit when it is missing or has other inputs or outputs, Unavailable when nobody answers.
        """
        now = time.monotonic()
        if self._model is None or now - self._asked_at > MODEL_AGE_SECONDS:
            model = self._ask_model()
            if self._is_in_doubt:
                self._check_replicas(model)
            self._channel.fit(model)
            self._model, self._asked_at, self._is_in_doubt = model, now, False
        return self._model

    def version(self) -> int:
        """Return the version that is served, whether or not it fits.

        Raises Unlabelled when the label is on none, ModelUnfit when it is missing, Unavailable when nobody answers.
        """
        return int(self._ask().model_spec.version.value)

    def predict(self, batch: Batch) -> list[Prediction]:
        """Return one prediction for every product of the batch, in its order, from one Predict call.

        Raises Refused when the pictures may be at fault, ModelUnfit when the model is, else Unavailable.
        """
        self._check_size(batch)
        answer = self._call("Predict", self._request(batch), self._settings.predict_timeout_seconds)
        model = self._say(int(answer.model_spec.version.value))
        try:
            return list(_predictions(answer, batch, model))
        except (LookupError, ValueError) as error:
            self._model = None
            told = f"{model} answers otherwise than it declares ({error!r}): publish it with shelver-trainer"
            raise ModelUnfit(told) from error

    def _check_size(self, batch: Batch) -> None:
        """Raise Refused where gRPC would say RESOURCE_EXHAUSTED, as it does of a server that is worth waiting for."""
        size = batch.pictures.nbytes
        if size + len(batch.pictures) * ROW_BYTES + OVERHEAD_BYTES > self._channel.limits.request_bytes:
            raise Refused(f"{size:,} bytes of pictures are more than one call takes")

    def _request(self, batch: Batch) -> bytes:
        request = self._addressed(predict_pb2.PredictRequest())
        request.model_spec.signature_name = self._settings.model_signature.value
        for key, values in (("product", batch.product), ("picture", batch.picture)):
            request.inputs[key].CopyFrom(to_proto(values))
        return batch.pictures.request(request.SerializeToString())

    def _ask_model(self) -> Model:
        return read(self._ask(), self._settings.model_signature, self._say)

    def _ask(self) -> Any:
        request = self._addressed(get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"]))
        return self._call("GetModelMetadata", request, self._settings.connect_timeout_seconds)

    def _addressed(self, request: Any) -> Any:
        request.model_spec.name = self._settings.model_name
        if self._label:
            request.model_spec.version_label = self._label
        return request

    def _check_replicas(self, model: Model) -> None:
        """Raise ModelUnfit while one of the replicas refuses every product: it takes pixels of another size, or has no
        version under the label yet."""
        takes_pixels = self._settings.model_signature is Signature.PIXELS
        for _ in range(REPLICAS_ASKED if takes_pixels or self._label else 0):
            other = self._ask_model()
            if takes_pixels and other.side != model.side:
                raise ModelUnfit(
                    f"the model servers at {self._settings.serving_address} disagree: version {model.version} takes "
                    f"{model.side} x {model.side} pixels and version {other.version} {other.side} x {other.side}; have "
                    "all of them serve one version"
                )

    def _call(self, method: str, request: Any, timeout_seconds: float) -> Any:
        timeout_seconds = min(timeout_seconds, max(0.0, self.deadline - time.monotonic()))
        try:
            return self._channel.call(method)(request, timeout=timeout_seconds)
        except grpc.RpcError as error:
            code, detail = error.code(), (error.details() or "")[:300]
            if code not in WAITING_HELPS:
                self._model = None  # it may have become another one: ask before the next call
            # A label that is on no version is INVALID_ARGUMENT, too: whoever asks for the model again is told so.
            if code is grpc.StatusCode.INVALID_ARGUMENT and method == "Predict":
                self._is_in_doubt = True
                raise Refused(detail) from error
            place = f"the model server at {self._settings.serving_address}"
            if code in WAITING_HELPS:
                raise Unavailable(
                    f"{place} does not answer (SHELVER_SERVING_ADDRESS): {code.name}: {explain(detail, self._settings)}"
                ) from error
            kind = Unlabelled if self._label and code is grpc.StatusCode.INVALID_ARGUMENT else ModelUnfit
            raise kind(
                f"{place} does not serve {self._settings.model_name} (SHELVER_MODEL_NAME){self._labelled()}: "
                f"{code.name}: {detail}; {self._remedy()}"
            ) from error

    def _labelled(self) -> str:
        if not self._label:
            return ""
        is_set = self._label == self._settings.model_label
        return f" under the label {self._label}" + (" (SHELVER_MODEL_LABEL)" if is_set else "")

    def _remedy(self) -> str:
        if not self._label:
            return "publish the model there or name one that it has"
        return f"put the label on a version with shelver-trainer {'canary' if self._label == CANARY else 'promote'}"

    def _say(self, version: int) -> str:
        return f"model {self._settings.model_name} version {version} at {self._settings.serving_address}"


def _predictions(answer: Any, batch: Batch, model: str) -> Iterator[Prediction]:
    version = int(answer.model_spec.version.value)
    # A product's pictures are adjacent and in order; the next product may have the very same ones.
    begins = (np.diff(batch.product) != 0) | (np.diff(batch.picture) <= 0)
    firsts = np.flatnonzero(np.concatenate(([True], begins)))
    sent = np.diff(firsts, append=len(batch.product))
    _check_counts(batch, from_proto(answer.outputs["pictures"])[firsts], sent, model)
    ranked = {level: _ranked(answer.outputs, prefix, firsts) for level, prefix in PREFIXES.items()}
    _check_scores(batch, [scores for _, scores in ranked.values()], model)
    rows = zip(*(zip(ids.tolist(), scores.tolist(), strict=True) for ids, scores in ranked.values()), strict=True)
    for product, levels, count in zip(batch.products, rows, sent.tolist(), strict=True):
        best = {level: list(zip(*pair, strict=True)) for level, pair in zip(ranked, levels, strict=True)}
        yield Prediction(product, version, best[3], best[2][0], best[1][0], count, best)


def _ranked(tensors: Any, prefix: str, rows: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    return from_proto(tensors[f"{prefix}category"])[rows], from_proto(tensors[f"{prefix}score"])[rows]


def _check_counts(batch: Batch, counted: NDArray[Any], sent: NDArray[np.int64], model: str) -> None:
    for place in np.flatnonzero(counted != sent)[:1].tolist():
        product = batch.products[place]
        raise ModelUnfit(
            f"{model} averaged {counted[place]} pictures of product {product.id} where {sent[place]} were sent: its "
            "graph does not keep products apart; publish it with shelver-trainer"
        )


def _check_scores(batch: Batch, scores: list[NDArray[Any]], model: str) -> None:
    sound = np.all([np.isfinite(each).all(axis=1) for each in scores], axis=0)
    for place in np.flatnonzero(~sound)[:1].tolist():
        raise Refused(f"{model} gives product {batch.products[place].id} a score that is no number")

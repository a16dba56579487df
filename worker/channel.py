"""The gRPC channel to the model server's replicas: turns, sizes of messages, and what becomes of lost connections."""

import time
from dataclasses import dataclass
from typing import Any

import grpc

from worker.contract.grpc_channel import open_channel
from worker.contract.serving_api import predict_pb2, prediction_service_pb2_grpc
from worker.contract.settings import Settings
from worker.contract.signature import Signature
from worker.model import Model

PREDICT = "/tensorflow.serving.PredictionService/Predict"

#: a name is looked up again at least this often, so that replicas that were added get their share
LIFE_SECONDS = 300.0
#: without a call for this long, connections are closed: firewalls forget them silently, and a server takes pings on an
#: idle one for an attack
IDLE_SECONDS = 60.0
#: a server that falls silent in a call is given up after twice this long at most, and so is not asked again: without it
#: each of its turns would cost a deadline
KEEPALIVE_SECONDS = 10.0
#: at most this long passes, once a server is back, before it is called again
RECONNECT_SECONDS = 5.0
#: why a request was refused travels as metadata; cut off, it would look like a server out of memory
METADATA_BYTES = 2**20

#: what protobuf can write
LARGEST_MESSAGE_BYTES = 2**31 - 1
#: room for names and shapes around the rows of a message
OVERHEAD_BYTES = 2**20
#: of a row besides its picture or its scores: product, picture, lengths
ROW_BYTES = 64
#: an id and a score, as long as they get
SCORE_BYTES = 16
#: of a model that does not say: all categories of a catalog twice our size, at each level
UNTOLD_SCORES = 3 * 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How large messages may be; the defaults are gRPC's own, and enough to ask which model there is."""

    request_bytes: int = 4 * 2**20
    answer_bytes: int = 4 * 2**20


def limits(settings: Settings, model: Model) -> Limits:
    """Return what the largest batch for this model, and the answer to it, can take."""
    rows = settings.max_batch_pictures
    picture_bytes = _pixel_bytes(model, settings, 3)
    if settings.model_signature is Signature.JPEG:  # as stored, or as PNG: without gain, that is a byte a line more
        picture_bytes = max(settings.max_picture_bytes, _pixel_bytes(model, settings, 4))
    request_bytes = rows * (picture_bytes + ROW_BYTES) + OVERHEAD_BYTES
    scores = UNTOLD_SCORES if model.scores is None else model.scores
    answer_bytes = rows * (scores * SCORE_BYTES + ROW_BYTES) + OVERHEAD_BYTES
    smallest = Limits()
    return Limits(
        min(max(request_bytes, smallest.request_bytes), LARGEST_MESSAGE_BYTES),
        min(max(answer_bytes, smallest.answer_bytes), LARGEST_MESSAGE_BYTES),
    )


class Channel:
    """One channel to all replicas, which take turns. Nothing is opened before the first call: no channel survives
    a fork."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self.limits = Limits()
        self._opened: grpc.Channel | None = None
        self._opened_at = 0.0  # on the monotonic clock
        self._calls: dict[str, Any] = {}

    def call(self, method: str) -> Any:
        """Return a method of the prediction service of whichever replica is next; Predict takes bytes."""
        if self._opened is None or time.monotonic() - self._opened_at > LIFE_SECONDS:
            self.close()
            self._opened = open_channel(self._settings, self._options())
            self._opened_at = time.monotonic()
            stub = prediction_service_pb2_grpc.PredictionServiceStub(self._opened)
            read = predict_pb2.PredictResponse.FromString
            self._calls = {
                "GetModelMetadata": stub.GetModelMetadata,
                "Predict": self._opened.unary_unary(PREDICT, response_deserializer=read),
            }
        return self._calls[method]

    def fit(self, model: Model) -> None:
        """Take messages as large as this model's from now on."""
        needed = limits(self._settings, model)
        if needed != self.limits:
            self.limits = needed
            self.close()

    def close(self) -> None:
        """Close the channel; the next call opens another."""
        if self._opened is not None:
            self._opened.close()
        self._opened = None

    def _options(self) -> list[tuple[str, Any]]:
        return [
            ("grpc.lb_policy_name", "round_robin"),
            ("grpc.max_send_message_length", self.limits.request_bytes),
            ("grpc.max_receive_message_length", self.limits.answer_bytes),
            ("grpc.max_metadata_size", METADATA_BYTES),
            ("grpc.keepalive_time_ms", _milliseconds(KEEPALIVE_SECONDS)),
            ("grpc.keepalive_timeout_ms", _milliseconds(KEEPALIVE_SECONDS)),
            ("grpc.http2.ping_timeout_ms", _milliseconds(KEEPALIVE_SECONDS)),  # gRPC pings for its own reasons too
            ("grpc.client_idle_timeout_ms", _milliseconds(IDLE_SECONDS)),
            ("grpc.min_reconnect_backoff_ms", _milliseconds(self._settings.connect_timeout_seconds)),
            ("grpc.max_reconnect_backoff_ms", _milliseconds(RECONNECT_SECONDS)),
            ("grpc.dns_min_time_between_resolutions_ms", _milliseconds(RECONNECT_SECONDS)),
            ("grpc.enable_retries", 0),  # waiting is the pipeline's business: one place decides how long
        ]


def _pixel_bytes(model: Model, settings: Settings, bytes_a_pixel: int) -> int:
    pixels = settings.max_picture_pixels if model.side is None else model.side**2
    return pixels * bytes_a_pixel


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))

"""The requests that a version answers before it is served.

The first request of each shape pays for graph optimisation and memory; a publisher records such requests in
VERSION/assets.extra/tf_serving_warmup_requests, a TFRecord file of PredictionLog.
"""

from collections.abc import Callable
from pathlib import Path

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from trainer.serve.errors import StatusError

REQUESTS = Path("assets.extra") / "tf_serving_warmup_requests"
#: TensorFlow Serving refuses a version with more
MAX_REQUESTS = 1000


def replay(folder: Path, predict: Callable[[predict_pb2.PredictRequest], object]) -> int:
    """Send the recorded requests of a version folder to `predict`; return how many there were.

    Records of other calls than Predict are passed over. Raises StatusError or tf.errors.OpError when a request fails,
    the file is damaged or has more than MAX_REQUESTS records; each fails the version, as in TensorFlow Serving.
    """
    path = folder / REQUESTS
    if not path.exists():
        return 0
    played = 0
    for position, record in enumerate(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()):
        if position == MAX_REQUESTS:
            raise StatusError(
                grpc.StatusCode.INVALID_ARGUMENT, f"{path} holds more than {MAX_REQUESTS} warm-up records"
            )
        log = _parsed(path, record)
        if log.WhichOneof("log_type") == "predict_log":
            predict(log.predict_log.request)
            played += 1
    return played


def _parsed(path: Path, record: bytes) -> prediction_log_pb2.PredictionLog:
    try:
        return prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError:
        raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, f"{path} holds a record that is no PredictionLog") from None

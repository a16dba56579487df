"""A version folder as TensorFlow Serving takes it: the SavedModel, its warm-up requests and its model card."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from trainer.graph import Classifier
from trainer.run import Run
from worker.contract.signature import Signature

#: TensorFlow Serving's place for files that are not the model's
EXTRA = "assets.extra"
WARM_UP, CARD = "tf_serving_warmup_requests", "model_card.json"
#: one warm-up record each; the server's allowed_batch_sizes should be the same
BATCH_SIZES = (1, 8, 32, 64, 128)


def write(folder: Path, run: Run, classifier: Classifier, name: str, version: int) -> None:
    """Write a version to `folder`, which is made; raises OSError or tf.errors.OpError, with part of it there."""
    tf.saved_model.save(classifier, str(folder), signatures=classifier.signatures())
    extra = folder / EXTRA
    extra.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(extra / WARM_UP)) as writer:
        for record in _warm_up(name, run.picture_side):
            writer.write(record.SerializeToString())
    (extra / CARD).write_text(json.dumps(_card(run, classifier, name, version), indent=1))


def _warm_up(name: str, side: int) -> Iterator[prediction_log_pb2.PredictionLog]:
    """Yield one request per signature and batch size, so that the first real one finds everything compiled."""
    grey = np.full((side, side, 3), 128, np.uint8)
    jpeg = tf.io.encode_jpeg(grey).numpy()
    for size in BATCH_SIZES:
        owners = {"product": np.arange(size, dtype=np.int64), "picture": np.zeros(size, np.int32)}
        for kind, field, values in (
            (Signature.PIXELS, "pixels", np.broadcast_to(grey, (size, *grey.shape))),
            (Signature.JPEG, "jpeg", np.array([jpeg] * size, object)),
        ):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = kind.value
            for key, array in {field: values, **owners}.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(array))
            yield prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))


def _card(run: Run, classifier: Classifier, name: str, version: int) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "published_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "intended_use": "rank the shelves of a product from its 1 to 4 catalog photos",
        "level": run.level,
        "categories": len(run.classes),
        "top_k": classifier.top_k,
        "temperature": classifier.temperature,
        "thresholds": run.thresholds,
        "picture_side": run.picture_side,
        "backbone": run.backbone,
        "trained_on": {"data": Path(run.data).name, "config": run.config_name, "seed": run.seed, **run.counts},
        "metrics": run.metrics,
        "versions": run.versions,
    }

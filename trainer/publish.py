"""Write MODELS/NAME/VERSION for TensorFlow Serving, and register the model and its categories in SQL."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sqlalchemy import Connection
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from trainer import registry
from trainer.graph import Classifier
from trainer.run import MODEL, Run
from worker.contract.database import Database
from worker.contract.errors import ShelverError
from worker.contract.signature import Signature

#: TensorFlow Serving's place for files that are not the model's
EXTRA = "assets.extra"
#: one warm-up record each; the server's allowed_batch_sizes should be the same
BATCH_SIZES = (1, 8, 32, 64, 128)


class PublishError(ShelverError):
    """The model was not published; nothing is left behind."""


def open_classifier(run: Run, top_k: int = 10) -> Classifier:
    """Return the run's graph as it is published."""
    network = keras.models.load_model(run.folder / MODEL, compile=False)
    return Classifier(network, run.classes, run.taxonomy, run.picture_side, top_k)


def publish(
    run: Run, classifier: Classifier, models_folder: Path, name: str, version: int | None, database_url: str
) -> Path:
    """Publish a run; return MODELS/NAME/VERSION, which appears whole or not at all.

    `version` is one more than any on disk or in SQL when None. Raises PublishError when the version exists,
    Unavailable when the database does not take it. The rows are committed right after the folder is in place;
    when they cannot be, the folder is taken back.
    """
    _check_name(name)
    home = models_folder / name
    with closing(Database(database_url)) as database:
        with database.begin() as connection:
            version = version or _next_version(connection, home, name)
            _check_free(connection, home, name, version)
        # Hidden and not a number: whoever watches the folder does not take it for a version.
        made = home / f".draft-{version}-{os.getpid()}"
        try:
            _write(made, run, classifier, name, version)
            with database.begin() as connection:
                _check_free(connection, home, name, version)
                registry.register(connection, run, name, version)
                made = made.rename(home / str(version))
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    return made


def _write(draft: Path, run: Run, classifier: Classifier, name: str, version: int) -> None:
    tf.saved_model.save(classifier, str(draft), signatures=classifier.signatures())
    extra = draft / EXTRA
    extra.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        for record in _warm_up(name, run.picture_side):
            writer.write(record.SerializeToString())
    (extra / "model_card.json").write_text(json.dumps(_card(run, classifier, name, version), indent=1))


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
        "picture_side": run.picture_side,
        "backbone": run.backbone,
        "trained_on": {"dump": Path(run.dump).name, "seed": run.seed, **run.counts, "held_out": len(run.held_out)},
        "metrics": run.metrics,
        "versions": run.versions,
    }


def _check_name(name: str) -> None:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise PublishError(f"{name!r} is no model name: use letters, digits, - and _")


def _check_free(connection: Connection, home: Path, name: str, version: int) -> None:
    taken = (("the database", registry.has(connection, name, version)), (str(home), (home / str(version)).exists()))
    for place, there in taken:
        if there:
            raise PublishError(f"{name} version {version} is already in {place}: leave --version out for the next one")


def _next_version(connection: Connection, home: Path, name: str) -> int:
    on_disk = [int(each.name) for each in home.glob("*") if each.name.isdecimal()]
    return max([registry.newest(connection, name), *on_disk]) + 1

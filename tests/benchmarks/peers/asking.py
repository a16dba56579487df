"""What every peer does to products: decode their pictures, ask the model, make rows of its answer."""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.contract.product import Product

messages, services = grpc.protos_and_services("tests/benchmarks/peers/predict.proto")

MODEL = os.environ.get("SHELVER_MODEL_NAME", "shelver")
SIDE = 180
#: TensorFlow Serving's max_batch_size
MOST_PICTURES = 128
TIMEOUT_SECONDS = 20
LEVELS = {3: "", 2: "level2_", 1: "level1_"}
DTYPES = {"uint8": messages.DT_UINT8, "int32": messages.DT_INT32, "int64": messages.DT_INT64}

Row = dict[str, Any]


def calls(products: Iterable[Product]) -> Iterator[list[Product]]:
    """Yield the products in groups that one Predict call takes."""
    group: list[Product] = []
    pictures = 0
    for product in products:
        if pictures + len(product.pictures) > MOST_PICTURES:
            yield group
            group, pictures = [], 0
        group.append(product)
        pictures += len(product.pictures)
    if group:
        yield group


def request(products: Sequence[Product]) -> Any:
    """Return the PredictRequest of products that one call takes."""
    owners = [(product.picture_key, index) for product in products for index in range(len(product.pictures))]
    made = messages.PredictRequest()
    made.model_spec.name, made.model_spec.signature_name = MODEL, "serving_default"
    _put(made.inputs["pixels"], np.stack([_decode(picture) for each in products for picture in each.pictures]))
    _put(made.inputs["product"], np.array([key for key, _ in owners], np.int64))
    _put(made.inputs["picture"], np.array([index for _, index in owners], np.int32))
    return made


def rows(products: Sequence[Product], answer: Any, model_id: int, queued_at: datetime) -> tuple[list[Row], list[Row]]:
    """Return what goes into `predictions` and `candidates`, in order of the answer to `request`."""
    ranked = {level: _ranked(answer.outputs, prefix) for level, prefix in LEVELS.items()}
    counted, first, now = answer.outputs["pictures"].int_val, 0, datetime.now(UTC)
    predictions: list[Row] = []
    candidates: list[Row] = []
    for product in products:
        best = {level: list(zip(ids[first], scores[first], strict=True)) for level, (ids, scores) in ranked.items()}
        key = {"product_id": product.id, "model_id": model_id}
        times = {"queued_at": queued_at, "predicted_at": now}
        predictions.append({**key, **_prediction(product, best), "picture_count": counted[first], **times})
        candidates += [
            {**key, "rank": rank, "category_id": category_id, "score": score}
            for rank, (category_id, score) in enumerate(best[3], start=1)
        ]
        first += len(product.pictures)
    return predictions, candidates


def _prediction(product: Product, best: dict[int, list[tuple[int, float]]]) -> Row:
    (category_id, score), (_, second), *_ = best[3]
    return {
        "category_id": category_id,
        "score": score,
        "margin": score - second,
        "level2_id": best[2][0][0],
        "level2_score": best[2][0][1],
        "level1_id": best[1][0][0],
        "level1_score": best[1][0][1],
        "fingerprint": product.fingerprint,
        "listed_category_id": product.category_id,
        "queue": "backfill",
        "is_latest": True,
    }


def _decode(picture: bytes | None) -> NDArray[np.uint8]:
    assert picture is not None
    with Image.open(io.BytesIO(picture)) as image:
        pixels = image.convert("RGB")
    if pixels.size != (SIDE, SIDE):
        pixels = pixels.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(pixels)


def _put(tensor: Any, values: NDArray[Any]) -> None:
    tensor.dtype = DTYPES[values.dtype.name]
    for size in values.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = values.tobytes()


def _ranked(outputs: Any, prefix: str) -> tuple[list[list[int]], list[list[float]]]:
    ids, scores = outputs[f"{prefix}category"], outputs[f"{prefix}score"]
    shape = [dimension.size for dimension in ids.tensor_shape.dim]
    return np.reshape(ids.int64_val, shape).tolist(), np.reshape(scores.float_val, shape).tolist()

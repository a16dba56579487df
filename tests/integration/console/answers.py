"""What a page must show of a picture: the model's own answer, asked without the line."""

import io

import numpy as np
from PIL import Image

from trainer.graph import Classifier

TOP = 4


def said(classifier: Classifier, *pictures: bytes) -> list[tuple[int, float]]:
    """Return category id and score of the best four of each level, from level 1 on, of one product's pictures."""
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(each)).convert("RGB")) for each in pictures])
    owners = np.zeros(len(pictures), np.int64), np.arange(len(pictures), dtype=np.int32)
    answer = {
        name: values.numpy()[0][:TOP] for name, values in classifier(pixels, *owners).items() if name != "pictures"
    }
    return [
        (int(category_id), float(score))
        for prefix in ("level1_", "level2_", "")
        for category_id, score in zip(answer[f"{prefix}category"], answer[f"{prefix}score"], strict=True)
    ]

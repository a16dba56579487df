"""How many products a model can shelve by itself at a wanted precision: the thresholds that `publish` stores."""

from dataclasses import dataclass

import numpy as np

#: a share of fewer products than this says nothing
FEWEST_PRODUCTS = 20


@dataclass(frozen=True)
class Covered:
    """What a threshold does on some products."""

    #: share of the products whose score reaches it
    coverage: float
    #: share of those that are right; None when there are none
    precision: float | None


def curve(scores: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each distinct score of float32[P], falling, int64[D] products at or above it, and the share right of them.

    Products of one score are taken or left together: a threshold cannot tell them apart.
    """
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(falling) else np.empty(0, np.int64)
    return falling[last], last + 1, np.cumsum(right[order])[last] / (last + 1)


def threshold(scores: np.ndarray, right: np.ndarray, precision: float) -> float | None:
    """Return the lowest score from which on `precision` of the products are right; None when there is none.

    Scores are float32[P] and `right` bool[P], of products that the model was neither trained nor scored on. At least
    FEWEST_PRODUCTS must reach the threshold.
    """
    falling, products, share = curve(scores, right)
    good = np.flatnonzero((share >= precision) & (products >= FEWEST_PRODUCTS))
    return float(falling[good[-1]]) if len(good) else None


def covered(scores: np.ndarray, right: np.ndarray, threshold: float) -> Covered:
    """Return what a threshold does on float32[P] scores and bool[P]; at least one product."""
    reached = scores >= threshold
    return Covered(float(reached.mean()), float(right[reached].mean()) if reached.any() else None)

"""Whether a score of 0.8 is right 8 times in 10: the temperature that makes it so, and how far off it is.

Guo, Pleiss, Sun & Weinberger, On Calibration of Modern Neural Networks, ICML 2017.
"""

from dataclasses import dataclass

import numpy as np

from trainer.evaluation.errors import EvaluationError

#: a step of 1.19; the minimum between two of them is found by a parabola
TEMPERATURES = np.geomspace(0.1, 10, 27)
BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Products by score of their best category, in bins of equal width from 0 to 1."""

    #: int64[B], products of each bin
    products: np.ndarray
    #: float64[B], their mean score; 0 in an empty bin
    score: np.ndarray
    #: float64[B], the share of them that is right; 0 in an empty bin
    right: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error (Naeini, Cooper & Hauskrecht, AAAI 2015): the mean gap, by products."""
        return float(np.average(np.abs(self.score - self.right), weights=self.products))


def reliability(scores: np.ndarray, right: np.ndarray, bins: int = BINS) -> Reliability:
    """Sort float32[P] scores in 0..1 and bool[P] into bins that are closed above, (0, 1/B] to (1 - 1/B, 1]."""
    place = np.clip(np.ceil(scores.astype(np.float64) * bins).astype(np.int64) - 1, 0, bins - 1)
    products = np.bincount(place, minlength=bins)
    divisor = np.maximum(products, 1)
    return Reliability(
        products,
        np.bincount(place, scores, minlength=bins) / divisor,
        np.bincount(place, right, minlength=bins) / divisor,
    )


def product_losses(likelihoods: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """Return the negative log-likelihood of each product, float64[G, P], at each of G temperatures.

    `likelihoods` float32[G, N] are the logarithms of the true class's score of each picture, `firsts` int64[P] the row
    where each product begins. A product's score is the mean of its pictures', as the graph answers it.
    """
    counts = np.diff(np.append(firsts, likelihoods.shape[1]))
    with np.errstate(invalid="ignore"):  # a NaN is told by `best_temperature`
        return np.log(counts) - np.logaddexp.reduceat(likelihoods.astype(np.float64), firsts, axis=1)


def best_temperature(losses: np.ndarray, temperatures: np.ndarray = TEMPERATURES) -> float:
    """Return the temperature of the lowest loss, float64[G] at rising temperatures of equal ratio.

    Between the steps it is the lowest point of the parabola through the lowest loss and its neighbours, over log T.
    Raises EvaluationError when the losses are no numbers.
    """
    check_finite(losses)
    best = int(np.argmin(losses))
    if not 0 < best < len(losses) - 1:
        return float(temperatures[best])
    before, lowest, after = losses[best - 1 : best + 2]
    curvature = before - 2 * lowest + after
    shift = 0.5 * (before - after) / curvature if curvature > 0 else 0.0
    return float(temperatures[best] * (temperatures[1] / temperatures[0]) ** shift)


def check_finite(answers: np.ndarray) -> None:
    """Raise EvaluationError when scores or losses are NaN or infinite: a fit that diverged is given no score."""
    if not np.isfinite(answers).all():
        raise EvaluationError(
            "the network answers NaN or infinity: fit again with a lower learning rate, or without mixed precision"
        )

"""The arithmetic behind calibration and thresholds, on numbers that can be checked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from trainer.evaluation.calibration import TEMPERATURES, best_temperature, product_losses, reliability
from trainer.evaluation.coverage import FEWEST_PRODUCTS, Covered, covered, curve, threshold
from trainer.evaluation.errors import EvaluationError

#: float32 scores with many ties, and whether each was right
ANSWERS = some.integers(1, 80).flatmap(
    lambda size: some.tuples(
        arrays.arrays(np.float32, size, elements=some.sampled_from([0.0, 0.2, 0.5, 0.75, 1.0])),
        arrays.arrays(np.bool_, size),
    )
)


def test_ece_by_hand() -> None:
    """Two bins: 3 products at 0.9 of which 2 are right, 1 at 0.6 that is wrong."""
    found = reliability(np.array([0.9, 0.9, 0.9, 0.6], np.float32), np.array([True, True, False, False]), bins=4)
    assert found.products.tolist() == [0, 0, 1, 3]
    assert found.score == pytest.approx([0, 0, 0.6, 0.9])
    assert found.right == pytest.approx([0, 0, 0, 2 / 3])
    assert found.error == pytest.approx((3 * abs(0.9 - 2 / 3) + 1 * 0.6) / 4)


def test_scores_at_the_ends_have_a_bin() -> None:
    """0 falls into the first bin, 1 into the last, and an edge into the bin below it."""
    found = reliability(np.array([0, 0.25, 0.26, 1], np.float32), np.ones(4, bool), bins=4)
    assert found.products.tolist() == [2, 1, 0, 1]


@given(ANSWERS)
def test_ece_is_a_share_and_counts_everything(answers: tuple[np.ndarray, np.ndarray]) -> None:
    """Whatever the scores: between 0 and 1, every product in one bin."""
    scores, right = answers
    found = reliability(scores, right)
    assert found.products.sum() == len(scores)
    assert 0 <= found.error <= 1


def softened(size: int, classes: int, factor: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax at temperature `factor` is the truth that labels are drawn from."""
    chance = np.random.default_rng(seed)
    honest = chance.normal(0, 2, (size, classes))
    shares = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    labels = (shares.cumsum(axis=1) > chance.random((size, 1))).argmax(axis=1)
    return honest * factor, labels


def losses_of(logits: np.ndarray, labels: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    likelihoods = []
    for temperature in TEMPERATURES:
        scaled = logits / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        likelihoods.append((scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)))[np.arange(len(labels)), labels])
    return product_losses(np.array(likelihoods, np.float32), firsts).mean(axis=1)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.7, 4.0])
def test_a_known_temperature_is_found(factor: float) -> None:
    """Logits that were made too bold or too timid by a factor are divided by just that factor."""
    logits, labels = softened(20_000, 8, factor, seed=1)
    found = best_temperature(losses_of(logits, labels, np.arange(len(labels))))
    assert found == pytest.approx(factor, rel=0.03)


def test_the_loss_of_a_product_is_that_of_its_mean_score() -> None:
    """Pictures are averaged as scores, then the logarithm is taken; a product of one picture is that picture."""
    scores = np.array([[0.5, 0.1, 0.3, 0.9]])
    found = product_losses(np.log(scores).astype(np.float32), np.array([0, 1]))
    assert found[0] == pytest.approx([-np.log(0.5), -np.log((0.1 + 0.3 + 0.9) / 3)], rel=1e-6)


def test_scores_that_underflow_have_a_finite_loss() -> None:
    """A network that is certain and wrong costs much, not infinitely much."""
    assert product_losses(np.array([[-5000.0, -5001.0]], np.float32), np.array([0]))[0, 0] == pytest.approx(
        5000.38, abs=0.01
    )


def test_a_minimum_between_the_steps_is_found() -> None:
    """A loss that is a parabola over log T has its minimum told exactly."""
    assert best_temperature((np.log(TEMPERATURES) - np.log(1.23)) ** 2) == pytest.approx(1.23)


@pytest.mark.parametrize(("losses", "found"), [(TEMPERATURES, 0.1), (-TEMPERATURES, 10.0), (TEMPERATURES * 0, 0.1)])
def test_no_temperature_beyond_the_steps(losses: np.ndarray, found: float) -> None:
    """A loss that falls to the end of the range gives that end; a flat one gives some step, not a NaN."""
    assert best_temperature(losses) == pytest.approx(found)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_network_that_answers_no_numbers_is_told(bad: float) -> None:
    """Not a temperature out of nothing, but a sentence with the remedy."""
    losses = np.ones(len(TEMPERATURES))
    losses[3] = bad
    with pytest.raises(EvaluationError, match="NaN or infinity: .* lower learning rate"):
        best_temperature(losses)


def test_a_threshold_by_hand() -> None:
    """The lowest score at or above which 9 of 10 are right, although fewer are at the very top."""
    scores = np.linspace(1, 0.01, 100).astype(np.float32)
    right = np.ones(100, bool)
    right[[0, 1, 2, 40]] = False
    right[50:] = False
    # of the first 51, 46 are right: 0.902; of the first 52 still 46: 0.885
    assert threshold(scores, right, 0.9) == pytest.approx(scores[50])


def test_products_of_one_score_go_together() -> None:
    """No threshold falls between equal scores."""
    scores = np.array([0.9] * 20 + [0.5] * 20, np.float32)
    right = np.array([True] * 30 + [False] * 10)
    assert threshold(scores, right, 1.0) == pytest.approx(0.9)
    assert threshold(scores, right, 0.75) == pytest.approx(0.5)
    falling, products, share = curve(scores, right)
    assert (products.tolist(), share.tolist()) == ([20, 40], [1.0, 0.75])
    assert falling.tolist() == [np.float32(0.9), np.float32(0.5)]


def test_no_threshold_on_too_few_products() -> None:
    """A handful of sure products promises nothing; none at all neither."""
    assert threshold(np.ones(FEWEST_PRODUCTS - 1, np.float32), np.ones(FEWEST_PRODUCTS - 1, bool), 0.5) is None
    assert threshold(np.ones(FEWEST_PRODUCTS, np.float32), np.ones(FEWEST_PRODUCTS, bool), 0.5) == 1
    assert threshold(np.ones(100, np.float32), np.zeros(100, bool), 0.5) is None
    assert threshold(np.empty(0, np.float32), np.empty(0, bool), 0.5) is None


@given(ANSWERS, some.floats(0, 1))
def test_a_threshold_keeps_its_promise_and_is_the_lowest(
    answers: tuple[np.ndarray, np.ndarray], precision: float
) -> None:
    """At or above it the precision holds, on enough products; of all scores below it none does as well."""
    scores, right = answers
    found = threshold(scores, right, precision)
    holds = {
        score: right[scores >= score].mean() >= precision and (scores >= score).sum() >= FEWEST_PRODUCTS
        for score in np.unique(scores).tolist()
    }
    assert found == min((score for score, good in holds.items() if good), default=None)


def test_what_a_threshold_covers() -> None:
    """Coverage and precision on other products; without a product above it there is no precision."""
    scores, right = np.array([0.9, 0.8, 0.3, 0.2], np.float32), np.array([True, False, True, True])
    assert covered(scores, right, 0.8) == Covered(0.5, 0.5)
    assert covered(scores, right, 0.3) == Covered(0.75, pytest.approx(2 / 3))
    assert covered(scores, right, 0.95) == Covered(0.0, None)

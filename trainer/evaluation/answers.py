"""What the published graph answers about each product of a split, the network run once however often it is asked."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer.evaluation.calibration import TEMPERATURES, best_temperature, product_losses
from trainer.feed import Batch
from trainer.graph import Classifier
from worker.contract.signature import PREFIXES
from worker.contract.taxonomy import Taxonomy

#: a product counts as found when its category is among so many
TOP = 5


@dataclass(frozen=True)
class View:
    """One way to ask the graph."""

    temperature: float
    #: by a product's first picture alone instead of the mean of all
    first_only: bool = False


@dataclass(frozen=True)
class Ranking:
    """What came out at one level, a row a product."""

    #: int64[P], the category of the best score
    predicted: np.ndarray
    #: float32[P], that score
    score: np.ndarray
    #: bool[P], whether it is the product's category
    right: np.ndarray
    #: bool[P], whether that is among the TOP best
    found: np.ndarray


@dataclass(frozen=True)
class Answers:
    """A split as one view sees it; about 60 bytes a product, the only thing here that grows with the split."""

    #: int64[P]
    product: np.ndarray
    #: int32[P], places among the classes
    label: np.ndarray
    #: int32[P], pictures that the product has
    pictures: np.ndarray
    #: by level, from 1 to that of the classes
    levels: dict[int, Ranking]


def ancestors(classes: Sequence[int], taxonomy: Taxonomy) -> dict[int, np.ndarray]:
    """Return the category of each class, int64[C], by level from 1 to that of the classes."""
    level = taxonomy.by_id[classes[0]].level
    return {each: np.array([taxonomy.ancestor(one, each) for one in classes], np.int64) for each in range(1, level + 1)}


class Compiled:
    """The steps of a graph as TensorFlow runs them: traced once for batches of any size."""

    def __init__(self, classifier: Classifier):
        scalar, rows = tf.TensorSpec((), tf.float32), tf.TensorSpec((None, None), tf.float32)
        product, picture = tf.TensorSpec((None,), tf.int64), tf.TensorSpec((None,), tf.int32)
        pixels = tf.TensorSpec((None, classifier.side, classifier.side, 3), tf.uint8)
        self.logits = tf.function(classifier.logits, input_signature=[pixels])
        self.answer = tf.function(classifier.answer, input_signature=[rows, product, picture, scalar])
        self.likelihoods = tf.function(_likelihoods, input_signature=[rows, picture])

    def forward(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, tf.Tensor]]:
        """Yield each batch with its float32[N, C] logits."""
        for batch in batches:
            yield batch, self.logits(batch.pixels)


def ask(
    compiled: Compiled,
    batches: Iterable[Batch],
    categories: Mapping[int, np.ndarray],
    views: Sequence[View],
    advance: Callable[[int], None],
) -> list[Answers]:
    """Return the answers of each view; `categories` are those of `ancestors`, `advance` is told products.

    Without batches the answers have no rows.
    """
    collected = [_Columns(sorted(categories)) for _ in views]
    for batch, logits in compiled.forward(batches):
        firsts = first_rows(batch.product)
        counts = np.diff(np.append(firsts, len(batch.product))).astype(np.int32)
        for view, columns in zip(views, collected, strict=True):
            rows = firsts if view.first_only else np.arange(len(batch.product))
            outputs = compiled.answer(
                tf.gather(logits, rows), batch.product[rows], batch.picture[rows], tf.constant(view.temperature)
            )
            own = np.arange(len(firsts)) if view.first_only else firsts
            found = {name: value.numpy()[own] for name, value in outputs.items()}
            columns.add(batch.product[firsts], batch.label[firsts], counts, found, categories)
        advance(len(firsts))
    return [columns.joined() for columns in collected]


def fitting_temperature(compiled: Compiled, batches: Iterable[Batch], advance: Callable[[int], None]) -> float:
    """Return what logits are to be divided by for the lowest mean loss of the products; 1 when there are none.

    All temperatures are tried in one pass, so that nothing need be kept. Raises EvaluationError when a loss is NaN.
    """
    losses = np.zeros(len(TEMPERATURES))
    products = 0
    for batch, logits in compiled.forward(batches):
        firsts = first_rows(batch.product)
        losses += product_losses(compiled.likelihoods(logits, batch.label).numpy(), firsts).sum(axis=1)
        products += len(firsts)
        advance(len(firsts))
    return best_temperature(losses / products) if products else 1.0


def _likelihoods(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Return the logarithm of the true class's score at each of TEMPERATURES, float32[G, N]."""
    scaled = (tf.nn.log_softmax(logits / tf.constant(each, tf.float32)) for each in TEMPERATURES)
    return tf.stack([tf.gather(each, label, batch_dims=1) for each in scaled])


def first_rows(product: np.ndarray) -> np.ndarray:
    """Return the row where each product begins, int64[P], given int64[N] with the rows of a product together."""
    return np.flatnonzero(np.append(True, product[1:] != product[:-1]))


class _Columns:
    """Answers as they come in, batch by batch."""

    def __init__(self, levels: Sequence[int]):
        self._levels = levels
        self._rows: list[list[np.ndarray]] = []

    def add(
        self,
        product: np.ndarray,
        label: np.ndarray,
        pictures: np.ndarray,
        found: Mapping[str, np.ndarray],
        categories: Mapping[int, np.ndarray],
    ) -> None:
        row = [product, label, pictures]
        for level in self._levels:
            ranked, score = (found[f"{PREFIXES[level]}{name}"] for name in ("category", "score"))
            hits = ranked == categories[level][label][:, np.newaxis]
            row += [ranked[:, 0], score[:, 0], hits[:, 0], hits[:, :TOP].any(axis=1)]
        self._rows.append(row)

    def joined(self) -> Answers:
        empty = [np.empty(0, kind) for kind in ("i8", "i4", "i4", *("i8", "f4", "?", "?") * len(self._levels))]
        product, label, pictures, *rest = map(np.concatenate, zip(empty, *self._rows, strict=True))
        rankings = [Ranking(*rest[start : start + 4]) for start in range(0, len(rest), 4)]
        return Answers(product, label, pictures, dict(zip(self._levels, rankings, strict=True)))

"""Judge a run on the products it was not trained on, by the very graph that is published."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from trainer import features
from trainer.graph import Classifier
from trainer.run import Run, RunError
from trainer.samples import Reading, labelled

#: products answered in one call of the graph
BATCH = 16
TOP = 5


def evaluate(run: Run, classifier: Classifier, advance: Callable[[int], None]) -> dict[str, float]:
    """Return product-wise accuracy on the held-out products: level1, level2, level3, level3_top5, products.

    A product counts once, by the mean over its pictures. Raises RunError when its dump is gone or nothing was
    held out.
    """
    dump = Path(run.dump)
    if not dump.is_file():
        raise RunError(f"{dump} is gone, from which {run.folder} held out products: put it back or fit anew")
    taxonomy = run.taxonomy
    hits: list[tuple[bool, ...]] = []
    for truths, answers in _answers(run, classifier, dump):
        for row, truth in enumerate(truths):
            ranked = answers["category"][row]
            hits.append(
                (
                    answers["level1_category"][row][0] == taxonomy.ancestor(truth, 1),
                    answers["level2_category"][row][0] == taxonomy.ancestor(truth, 2),
                    ranked[0] == truth,
                    truth in ranked[:TOP],
                )
            )
        advance(len(truths))
    if not hits:
        raise RunError(f"{run.folder} held out no product: fit with --held-out above 0 to evaluate")
    shares = dict(zip(("level1", "level2", "level3", "level3_top5"), np.mean(hits, axis=0).tolist(), strict=True))
    return {**shares, "products": len(hits)}


def _answers(run: Run, classifier: Classifier, dump: Path) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
    """Yield the true category and the graph's answer of each held-out product, a batch at a time."""
    answer = tf.function(classifier.__call__, reduce_retracing=True)
    held_out = set(run.held_out)
    batch: list[tuple[int, int, list[np.ndarray]]] = []

    def flush() -> tuple[list[int], dict[str, np.ndarray]]:
        rows = [(place, index, each) for place, (_, _, pixels) in enumerate(batch) for index, each in enumerate(pixels)]
        outputs = answer(
            np.stack([pixels for _, _, pixels in rows]),
            np.array([place for place, _, _ in rows], np.int64),
            np.array([index for _, index, _ in rows], np.int32),
        )
        firsts = [
            next(row for row, (place, _, _) in enumerate(rows) if place == wanted) for wanted in range(len(batch))
        ]
        return [truth for _, truth, _ in batch], {name: value.numpy()[firsts] for name, value in outputs.items()}

    for product, category, pictures in labelled(dump, Reading()):
        if product.id not in held_out:
            continue
        triples = ((product.id, category, picture) for picture in pictures)
        pixels = [each for _, _, each in features.decoded(triples, run.picture_side, lambda _: None)]
        if pixels:
            batch.append((product.id, category, pixels))
        if len(batch) == BATCH:
            yield flush()
            batch.clear()
    if batch:
        yield flush()

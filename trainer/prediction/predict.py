"""What a run makes of single pictures: the best categories at each level."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table
from rich.text import Text

from trainer.evaluation.answers import Compiled, first_rows
from trainer.graph import Classifier
from worker.contract.signature import PREFIXES
from worker.contract.taxonomy import Category, Taxonomy

#: categories shown of each level
TOP = 4
#: pictures through the network at a time
BATCH = 32


@dataclass(frozen=True)
class Ranked:
    """A product's best categories."""

    #: by level, the finest first: category and score, best first
    levels: dict[int, list[tuple[Category, float]]]


def predict(classifier: Classifier, taxonomy: Taxonomy, level: int, pixels: np.ndarray, together: bool) -> list[Ranked]:
    """Rank the categories of uint8[N, side, side, 3]: N products of a picture each, or `together` one of N pictures.

    `level` is that of the classifier's classes; there is nothing finer to rank. The classifier's top_k says how many.
    """
    compiled = Compiled(classifier)
    batches = range(0, len(pixels), BATCH)
    logits = np.concatenate([compiled.logits(pixels[start : start + BATCH]).numpy() for start in batches])
    picture = np.arange(len(pixels), dtype=np.int32)
    product = np.zeros(len(pixels), np.int64) if together else picture.astype(np.int64)
    answers = compiled.answer(logits, product, picture, np.float32(classifier.temperature))
    found = {name: value.numpy() for name, value in answers.items()}
    return [_ranked(taxonomy, level, found, row) for row in first_rows(product).tolist()]


def _ranked(taxonomy: Taxonomy, level: int, found: dict[str, np.ndarray], row: int) -> Ranked:
    levels = {}
    for each, prefix in PREFIXES.items():
        if each <= level:
            ids, scores = found[f"{prefix}category"][row].tolist(), found[f"{prefix}score"][row].tolist()
            levels[each] = [(taxonomy.by_id[one], score) for one, score in zip(ids, scores, strict=True)]
    return Ranked(levels)


def table(names: Sequence[str], ranked: Ranked) -> Table:
    """Return a product's categories for the terminal, under the names of its pictures."""
    # As Text: a bracket in a name is no markup.
    drawn = Table(title=Text(", ".join(names)), title_justify="left")
    drawn.add_column("level", justify="right")
    drawn.add_column("score", justify="right", no_wrap=True)
    drawn.add_column("id", justify="right", no_wrap=True)
    drawn.add_column("category", overflow="fold")
    for level, categories in ranked.levels.items():
        for place, (category, score) in enumerate(categories):
            shown = "" if place else str(level)
            drawn.add_row(shown, f"{score:.2%}", str(category.id), Text(category.name))
        drawn.add_section()
    return drawn

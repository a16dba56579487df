"""Accuracy, macro-F1, the table of categories and the worst confusions, from what was answered."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.evaluation.answers import Answers
from worker.contract.taxonomy import Taxonomy

#: of the table of categories
COLUMNS = (
    *("category_id", "path", "products", "trained", "predicted", "right", "precision", "recall", "f1"),
    *("confused_with_id", "confused_with", "products_confused"),
)


@dataclass(frozen=True)
class CategoryScore:
    """How one class fares."""

    #: its place among the classes
    place: int
    #: products that belong to it
    products: int
    #: products it was trained on
    trained: int
    #: products it was given
    predicted: int
    #: those of both
    right: int
    #: place of the class that most of its products were given instead, and how many; None when all were right
    confused: tuple[int, int] | None

    @property
    def precision(self) -> float | None:
        """The share of the products it was given that belong to it; None when it was given none."""
        return self.right / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """The share of its products that it was given; None when it has none."""
        return self.right / self.products if self.products else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall, 0 when it was given none; None when it has no products."""
        return 2 * self.right / (self.products + self.predicted) if self.products else None


@dataclass(frozen=True)
class Confusion:
    """Products of one class that were given another."""

    truth: int
    predicted: int
    products: int
    #: of the true class's products
    share: float


def accuracies(answers: Answers) -> dict[str, float]:
    """Return `level1`, `level1_top5` and so on: the share of the products; at least one product."""
    found = {}
    for level, ranking in answers.levels.items():
        found[f"level{level}"] = float(ranking.right.mean())
        found[f"level{level}_top5"] = float(ranking.found.mean())
    return found


def pairs(truth: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the confused pairs of int[P] places, int64[K] each, and their products: most first, then by place."""
    wrong = truth != predicted
    keys, counts = np.unique(truth[wrong].astype(np.int64) * classes + predicted[wrong], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return keys[order] // classes, keys[order] % classes, counts[order]


def categories(truth: np.ndarray, predicted: np.ndarray, trained: Sequence[int]) -> list[CategoryScore]:
    """Return the score of each class in order, from int[P] places; `trained` counts the training products of each."""
    size = len(trained)
    confused: dict[int, tuple[int, int]] = {}
    for own, other, count in zip(*(each.tolist() for each in pairs(truth, predicted, size)), strict=True):
        confused.setdefault(own, (other, count))
    right = np.bincount(truth[truth == predicted], minlength=size).tolist()
    products, given = (np.bincount(each, minlength=size).tolist() for each in (truth, predicted))
    return [
        CategoryScore(place, products[place], trained[place], given[place], right[place], confused.get(place))
        for place in range(size)
    ]


def macro_f1(scores: Sequence[CategoryScore]) -> float:
    """Return the mean F1 of the classes that have products here, each counting the same."""
    return float(np.mean([each.f1 for each in scores if each.f1 is not None]))


def confusions(truth: np.ndarray, predicted: np.ndarray, classes: int, limit: int) -> list[Confusion]:
    """Return the pairs with the most products."""
    totals = np.bincount(truth, minlength=classes)
    found = zip(*(each[:limit].tolist() for each in pairs(truth, predicted, classes)), strict=True)
    return [Confusion(own, other, count, count / int(totals[own])) for own, other, count in found]


def write_categories(path: Path, scores: Sequence[CategoryScore], classes: Sequence[int], taxonomy: Taxonomy) -> None:
    """Write the table of categories as CSV (UTF-8), in order of id; what has no value is left empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for each in scores:
            row = {name: getattr(each, name) for name in COLUMNS if hasattr(each, name)}
            row |= {"category_id": classes[each.place], "path": taxonomy.path(classes[each.place])}
            if each.confused:
                other = classes[each.confused[0]]
                row |= {"confused_with_id": other, "confused_with": taxonomy.path(other)}
                row["products_confused"] = each.confused[1]
            writer.writerow(row)

"""Measure a graph: temperature and thresholds from the validation split, all that is told from the test split."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.evaluation.answers import Answers, Compiled, View, ancestors, ask, fitting_temperature
from trainer.evaluation.calibration import Reliability, check_finite, reliability
from trainer.evaluation.coverage import Covered, covered, threshold
from trainer.evaluation.errors import EvaluationError
from trainer.evaluation.scores import CategoryScore, Confusion, accuracies, categories, confusions, macro_f1
from trainer.feed import Batch
from trainer.graph import Classifier
from worker.contract.taxonomy import Taxonomy

#: pairs of categories that the report shows
WORST = 12

#: `track(what, total)` gives what to call with the progress made
Track = Callable[[str, int], Callable[[int], None]]


@dataclass(frozen=True)
class Side:
    """A split of the data, read as often as need be."""

    products: int
    batches: Callable[[], Iterable[Batch]]


@dataclass(frozen=True)
class Assignment:
    """What a model may shelve by itself at one level."""

    #: the precision that was asked for
    target: float
    #: chosen on the validation split; None when no threshold reaches the target on enough products
    threshold: float | None
    #: what it does on the products of the test split; None without a threshold
    test: Covered | None


@dataclass(frozen=True)
class Judgement:
    """All that was measured; what has no other name is of the test split, at the fitted temperature."""

    temperature: float
    #: products that temperature and thresholds were chosen on
    validation_products: int
    mean: Answers
    first: Answers
    before: Reliability
    after: Reliability
    assignments: dict[int, Assignment]
    categories: list[CategoryScore]
    confusions: list[Confusion]
    #: int32[P], the place of the class that each product was given
    predicted: np.ndarray

    @property
    def level(self) -> int:
        """Level of the classes."""
        return max(self.mean.levels)

    def metrics(self) -> dict[str, float]:
        """Return the scores by name, all of them finite; those that no product can tell are left out."""
        several = self.mean.pictures > 1
        found = {
            "products": len(self.mean.product),
            "pictures": int(self.mean.pictures.sum()),
            "products_several": int(several.sum()),
            **accuracies(self.mean),
            "macro_f1": macro_f1(self.categories),
            "ece_before": self.before.error,
            "ece_after": self.after.error,
        }
        for level in self.mean.levels:
            ours, firsts = self.mean.levels[level].right, self.first.levels[level].right
            found[f"first_picture_level{level}"] = float(firsts.mean())
            if several.any():
                found[f"several_level{level}"] = float(ours[several].mean())
                found[f"several_first_picture_level{level}"] = float(firsts[several].mean())
        for level, each in self.assignments.items():
            if each.test:
                found[f"coverage_level{level}"] = each.test.coverage
                if each.test.precision is not None:
                    found[f"precision_level{level}"] = each.test.precision
        return found


def judge(
    classifier: Classifier,
    classes: Sequence[int],
    taxonomy: Taxonomy,
    validation: Side,
    test: Side,
    trained: Sequence[int],
    targets: Mapping[int, float],
    track: Track,
) -> Judgement:
    """Measure a graph of `classes`, `trained` products each; `targets` is the wanted precision by level.

    The network passes twice over validation (the thresholds need the temperature) and once over test, from which
    nothing is chosen. Raises EvaluationError when the test split is empty or the network answers NaN.
    """
    above, compiled = ancestors(classes, taxonomy), Compiled(classifier)
    temperature = fitting_temperature(
        compiled, validation.batches(), track("validation: temperature", validation.products)
    )
    views = [View(temperature), View(1.0), View(temperature, first_only=True)]
    advance = track("validation: thresholds", validation.products)
    (chosen,) = ask(compiled, validation.batches(), above, views[:1], advance)
    mean, plain, first = ask(compiled, test.batches(), above, views, track("test", test.products))
    if not len(mean.product):
        raise EvaluationError("the test split holds no product to be scored on: prepare data with --test above 0")
    check_finite(mean.levels[max(above)].score)
    predicted = _places(classes, mean.levels[max(above)].predicted)
    finest = max(above)
    return Judgement(
        temperature,
        len(chosen.product),
        mean,
        first,
        *(reliability(each.levels[finest].score, each.levels[finest].right) for each in (plain, mean)),
        {level: _assign(chosen, mean, level, targets[level]) for level in above},
        categories(mean.label, predicted, trained),
        confusions(mean.label, predicted, len(classes), WORST),
        predicted,
    )


def _assign(validation: Answers, test: Answers, level: int, target: float) -> Assignment:
    known, unseen = validation.levels[level], test.levels[level]
    found = threshold(known.score, known.right, target)
    return Assignment(target, found, None if found is None else covered(unseen.score, unseen.right, found))


def _places(classes: Sequence[int], identities: np.ndarray) -> np.ndarray:
    """Return the place of each category among the classes, int32[P]."""
    order = np.argsort(classes)
    return order[np.searchsorted(np.array(classes), identities, sorter=order)].astype(np.int32)

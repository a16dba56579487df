"""The report: one HTML file with its figures and pictures in it, for readers who do not read code."""

from collections.abc import Mapping, Sequence

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from trainer.evaluation import plots
from trainer.evaluation.calibration import BINS
from trainer.evaluation.coverage import FEWEST_PRODUCTS
from trainer.evaluation.judge import Judgement
from trainer.run import Run

#: categories in the report's table; the CSV has them all
LISTED = 100


def examples(judgement: Judgement, limit: int) -> list[list[int]]:
    """Return the first products of each of the worst confusions, in order of the test split."""
    truth, predicted, product = judgement.mean.label, judgement.predicted, judgement.mean.product
    return [
        product[(truth == each.truth) & (predicted == each.predicted)][:limit].tolist() for each in judgement.confusions
    ]


def render(
    run: Run, data: str, judgement: Judgement, examples: Sequence[Sequence[int]], pictures: Mapping[int, str]
) -> str:
    """Return the page; `data` describes the data in a line, `pictures` are data URIs by product id."""
    environment = Environment(
        loader=PackageLoader("trainer.evaluation", "."),
        autoescape=True,  # names of categories come from sellers
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    taxonomy = run.taxonomy
    paths = [taxonomy.path(each) for each in run.classes]
    environment.filters |= {"share": _share, "path": paths.__getitem__}
    worst = sorted(judgement.categories, key=lambda each: (each.right - each.products, each.place))
    metrics = judgement.metrics()
    return environment.get_template("report.html").render(
        run=run,
        data=data,
        judgement=judgement,
        metrics=metrics,
        levels=sorted(judgement.mean.levels),
        scored=sum(1 for each in judgement.categories if each.products),
        never=sum(1 for each in judgement.categories if each.products and not each.right),
        worst=[each for each in worst[:LISTED] if each.products],
        confusions=list(zip(judgement.confusions, examples, strict=True)),
        pictures=pictures,
        figures=_figures(judgement, metrics),
        baseline=_most_frequent(judgement),
        bins=BINS,
        fewest=FEWEST_PRODUCTS,
    )


def _figures(judgement: Judgement, metrics: Mapping[str, float]) -> dict[str, str]:
    levels = judgement.mean.levels
    first = {f"level{level}": metrics[f"first_picture_level{level}"] for level in levels}
    assignments = judgement.assignments
    targets = {level: each.target for level, each in assignments.items()}
    thresholds = {level: each.threshold for level, each in assignments.items()}
    return {
        "accuracy": plots.accuracy(metrics, first, sorted(levels)),
        "reliability": plots.reliability(judgement.before, judgement.after),
        "coverage": plots.coverage(levels, targets, thresholds),
        "tail": plots.tail(judgement.categories),
    }


def _most_frequent(judgement: Judgement) -> float:
    """Return the accuracy of always naming the category that is the most frequent here."""
    return float(np.bincount(judgement.mean.label).max() / len(judgement.mean.label))


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"

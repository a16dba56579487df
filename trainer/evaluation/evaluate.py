"""Judge a run and write RUN/evaluation: report.html, scores.json, categories.csv; the run takes the scores over."""

import json
import logging
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from trainer.data import Data
from trainer.evaluation import report
from trainer.evaluation.errors import EvaluationError
from trainer.evaluation.judge import Judgement, Side, Track, judge
from trainer.evaluation.pictures import thumbnails
from trainer.evaluation.scores import write_categories
from trainer.feed import product_batches
from trainer.graph import Classifier
from trainer.run import Run

logger = logging.getLogger("trainer")

FOLDER, REPORT, SCORES, CATEGORIES = "evaluation", "report.html", "scores.json", "categories.csv"
#: products shown of each confused pair
SHOWN = 6


def open_data(run: Run, folder: Path | None = None) -> Data:
    """Return the data that a run was trained on, from `folder` if they have moved.

    Raises EvaluationError when they are gone, prepared otherwise or without test products; DataError when damaged.
    """
    folder = folder or Path(run.data)
    if not folder.is_dir():
        raise EvaluationError(
            f"{folder}, the data of {run.folder}, is gone: say where it is now with --data, or prepare it again"
        )
    data = Data.open(folder)
    if data.manifest["plan"] != run.plan:  # products that it was trained on would be scored
        raise EvaluationError(
            f"{folder} was prepared otherwise than what {run.folder} was trained on: name that with --data"
        )
    if not data.splits["test"].products:
        raise EvaluationError(f"{folder} has no product to be scored on: prepare with --test above 0 and fit anew")
    return data


def evaluate(run: Run, data: Data, classifier: Classifier, targets: Mapping[int, float], track: Track) -> Path:
    """Judge a run on its data and return the report; `classifier` is that of `open_classifier`, at least 5 ranks.

    `targets` is the precision that the thresholds of each level are to reach. The run's temperature, thresholds and
    metrics are set once everything is written. Raises EvaluationError.
    """
    read = partial(product_batches, data, side=run.picture_side)
    sides = {name: Side(data.splits[name].products, partial(read, name)) for name in ("validation", "test")}
    if not sides["validation"].products:
        logger.warning("%s has no validation split: the temperature stays 1 and there are no thresholds", data.folder)
    trained = data.splits["train"].counts
    judgement = judge(
        classifier, run.classes, run.taxonomy, sides["validation"], sides["test"], trained, targets, track
    )
    examples = report.examples(judgement, SHOWN)
    wanted = {product for products in examples for product in products}
    pictures = thumbnails(sides["test"].batches(), wanted)
    write(run, judgement, report.render(run, data.describe(), judgement, examples, pictures))
    run.temperature = judgement.temperature
    run.thresholds = {str(level): each.threshold for level, each in judgement.assignments.items()}
    run.metrics = judgement.metrics()
    run.write()
    return run.folder / FOLDER / REPORT


def write(run: Run, judgement: Judgement, html: str) -> None:
    """Write RUN/evaluation in place of the one before, whole or not at all; raises EvaluationError."""
    folder = run.folder / FOLDER
    draft = folder.with_name(f".{FOLDER}.part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir()
        (draft / REPORT).write_text(html, encoding="utf-8")
        (draft / SCORES).write_text(json.dumps(_facts(run, judgement), indent=1, allow_nan=False), encoding="utf-8")
        write_categories(draft / CATEGORIES, judgement.categories, run.classes, run.taxonomy)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    except OSError as error:
        raise EvaluationError(f"{folder} cannot be written ({error.strerror}): free some room and try again") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _facts(run: Run, judgement: Judgement) -> dict[str, Any]:
    taxonomy = run.taxonomy

    def name(place: int) -> dict[str, Any]:
        return {"category_id": run.classes[place], "path": taxonomy.path(run.classes[place])}

    return {
        "config": run.config_name,
        "backbone": run.backbone,
        "data": run.data,
        "level": judgement.level,
        "classes": len(run.classes),
        "temperature": judgement.temperature,
        "validation_products": judgement.validation_products,
        "metrics": judgement.metrics(),
        "assignment": {
            str(level): {
                "target_precision": each.target,
                "threshold": each.threshold,
                "test_coverage": each.test and each.test.coverage,
                "test_precision": each.test and each.test.precision,
            }
            for level, each in judgement.assignments.items()
        },
        "reliability": {
            moment: {"products": each.products.tolist(), "score": each.score.tolist(), "right": each.right.tolist()}
            for moment, each in (("before", judgement.before), ("after", judgement.after))
        },
        "confusions": [
            {"truth": name(each.truth), "predicted": name(each.predicted), "products": each.products}
            for each in judgement.confusions
        ],
    }

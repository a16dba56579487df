"""make bench-recipes: three recipes on one small real set, the same splits, at most the same minutes, three seeds.

A split is one seed's; the listings are scored, which no recipe has seen in training or for stopping.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from deploy.local.report import read_labels
from tests.benchmarks.goals import Goal, report
from trainer.graph import Classifier, decode
from trainer.index import build
from trainer.publishing.publish import open_classifier
from trainer.run import Run
from worker.contract.taxonomy import Taxonomy

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "recipes.json"
OURS, THEIRS, FROZEN = "lite0_layers", "lite0_case_study", "lite0_head"
SEEDS = (1, 2, 3)
SCORES = ("level1", "level2", "level3", "level3_top5")
#: products answered in one call
BATCH = 32


def fit(dump: Path, categories: Path, recipe: str, seed: int, folder: Path, epochs: int | None) -> tuple[Run, float]:
    """Prepare and fit by the commands a person would type; return the run and the minutes of the fit."""
    folder.mkdir(exist_ok=True)
    data, run = folder / f"data-{seed}", folder / f"{recipe}-{seed}"
    trainer = [sys.executable, "-m", "trainer"]
    if not data.exists():
        prepared = ["--categories", categories, "-o", data, "--config", recipe, "--seed", seed, "--test", 0]
        _run([*trainer, "prepare", dump, *prepared])
    changes = ["--set", f"phases.0.epochs={epochs}"] if epochs else []
    start = time.monotonic()
    _run([*trainer, "fit", recipe, data, "--run", run, "--seed", seed, *changes])
    return Run.open(run), (time.monotonic() - start) / 60


def _run(command: list[object]) -> None:
    subprocess.run([str(each) for each in command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def score(run: Run, listings: Path, truths: dict[int, int], taxonomy: Taxonomy) -> dict[str, float]:
    """Return product-wise accuracy on the labelled listings."""
    classifier = open_classifier(run)
    hits = [
        (
            answer["level1_category"][0] == taxonomy.ancestor(truths[product], 1),
            answer["level2_category"][0] == taxonomy.ancestor(truths[product], 2),
            answer["category"][0] == truths[product],
            truths[product] in answer["category"][:5],
        )
        for product, answer in _answers(classifier, listings)
        if product in truths
    ]
    return dict(zip(SCORES, np.mean(hits, axis=0).tolist(), strict=True))


def _answers(classifier: Classifier, listings: Path) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    index = build(listings)
    answer = tf.function(classifier.__call__, reduce_retracing=True)
    for start in range(0, len(index.products), BATCH):
        products = list(index.read(range(start, min(start + BATCH, len(index.products)))))
        rows = [(each.id, place, data) for each in products for place, data in enumerate(each.pictures) if data]
        pixels = np.stack([decode(tf.constant(data), classifier.side).numpy() for *_, data in rows])
        owners = np.array([product for product, *_ in rows], np.int64)
        outputs = answer(pixels, owners, np.array([place for _, place, _ in rows], np.int32))
        for product in products:
            row = int(np.flatnonzero(owners == product.id)[0])
            yield product.id, {name: value.numpy()[row] for name, value in outputs.items()}


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("dump", "categories", "listings", "labels"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=3, help="of a fit on this machine, at most")
    given = parser.parse_args()
    taxonomy = Taxonomy.from_csv(given.categories)
    truths = read_labels(given.labels, taxonomy)
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="shelver-bench-") as name:
        folder = Path(name)
        # The case study's takes as many epochs as there is time for; the others end long before.
        epochs = {THEIRS: _epochs(given, folder)}
        for seed in SEEDS:
            for recipe in (OURS, THEIRS, FROZEN):
                run, minutes = fit(given.dump, given.categories, recipe, seed, folder, epochs.get(recipe))
                scores = {**score(run, given.listings, truths, taxonomy), "minutes": minutes}
                found.setdefault(recipe, []).append(scores)
                print(recipe, seed, " ".join(f"{each} {value:.3f}" for each, value in scores.items()), flush=True)
    table = {
        recipe: {
            each: [mean(run[each] for run in runs), stdev(run[each] for run in runs)] for each in (*SCORES, "minutes")
        }
        for recipe, runs in found.items()
    }
    goals = [
        Goal(f"recipes.{OURS}_{each}_over_{other}", table[OURS][each][0] / table[other][each][0], ">=", 1)
        for other in (THEIRS, FROZEN)
        for each in SCORES
    ]
    report(goals, {"mean_and_spread": table, "runs": found, "seeds": SEEDS, "minutes_allowed": given.minutes}, PAGE)


def _epochs(given: argparse.Namespace, folder: Path) -> int:
    """Return the epochs of the case study's recipe that fit into the minutes, from a trial of one and one of three."""
    one, three = (fit(given.dump, given.categories, THEIRS, 1, folder / f"trial-{count}", count)[1] for count in (1, 3))
    return max(1, int((given.minutes - one) / ((three - one) / 2)) + 1)


if __name__ == "__main__":
    main()

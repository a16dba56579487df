"""Judging a run, on a network whose logits are its pixels, so that every answer can be worked out by hand."""

import csv
import dataclasses
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from tests.pictures import listing
from trainer.data import Data
from trainer.evaluation import report
from trainer.evaluation.comparison import row, table
from trainer.evaluation.errors import EvaluationError
from trainer.evaluation.evaluate import evaluate, open_data
from trainer.evaluation.judge import Judgement, Side, judge
from trainer.evaluation.pictures import thumbnails
from trainer.evaluation.scores import categories, confusions, macro_f1
from trainer.feed import Batch
from trainer.graph import Classifier
from trainer.index import build
from trainer.prepare.outline import outline
from trainer.prepare.prepare import prepare
from trainer.prepare.selection import Recipe
from trainer.run import CATEGORIES, MODEL, Run
from worker.contract.taxonomy import Taxonomy, path_id

SIDE = 2
TREE = """category_id,category_level1,category_level2,category_level3
11,MAISON,CUISINE,TASSE
12,MAISON,CUISINE,ASSIETTE
13,MAISON,SALON,LAMPE
14,SPORT,BALLON,FOOTBALL
15,SPORT,BALLON,<script>alert(1)</script>
"""
#: not in order of id: nothing may rely on that
CLASSES = [14, 11, 13, 15, 12]
TARGETS = {1: 0.9, 2: 0.9, 3: 0.9}
#: what a pixel of 255 is worth
SCALE = 8.0
Pictures = list[list[int]]


@pytest.fixture(scope="module")
def taxonomy(tmp_path_factory: pytest.TempPathFactory) -> Taxonomy:
    path = tmp_path_factory.mktemp("tree") / CATEGORIES
    path.write_text(TREE)
    return Taxonomy.from_csv(path)


def network(classes: int, side: int = SIDE) -> keras.Model:
    """The first `classes` of a picture's numbers are its logits."""
    picture = keras.Input((side, side, 3))
    flat = layers.Flatten()(picture)
    dense = layers.Dense(classes, use_bias=False)
    model = keras.Model(picture, dense(flat))
    dense.set_weights([np.eye(side * side * 3, classes) * SCALE / 255])
    return model


@pytest.fixture(scope="module")
def classifier(taxonomy: Taxonomy) -> Classifier:
    return Classifier(network(len(CLASSES)), CLASSES, taxonomy, SIDE, top_k=5)


def batches(products: list[tuple[int, int, Pictures]], size: int = 7) -> Iterator[Batch]:
    """Batches of (id, label, pictures), a picture being its first numbers; a product is never cut."""
    for start in range(0, len(products), size):
        rows = [
            (identity, place, label, numbers)
            for identity, label, pictures in products[start : start + size]
            for place, numbers in enumerate(pictures)
        ]
        pixels = np.zeros((len(rows), SIDE * SIDE * 3), np.uint8)
        for index, (_, _, _, numbers) in enumerate(rows):
            pixels[index, : len(numbers)] = numbers
        identities, places, labels, _ = zip(*rows, strict=True)
        yield Batch(
            pixels.reshape(-1, SIDE, SIDE, 3),
            np.array(identities, np.int64),
            np.array(places, np.int32),
            np.array(labels, np.int32),
        )


def drawn(size: int, seed: int, boldness: float = 1.0) -> list[tuple[int, int, Pictures]]:
    """Products of 1 to 3 pictures, whose label is drawn from the mean softmax of their logits / `boldness`."""
    chance = np.random.default_rng(seed)
    products = []
    for identity in range(size):
        numbers = chance.integers(0, 256, (chance.integers(1, 4), len(CLASSES)))
        shares = np.exp(numbers * SCALE / 255 / boldness)
        mean = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
        products.append((identity + 1, int(chance.choice(len(CLASSES), p=mean)), numbers.tolist()))
    return products


def side(products: list[tuple[int, int, Pictures]]) -> Side:
    return Side(len(products), lambda: batches(products, max(7, len(products) // 20)))


def quiet(_: str, __: int) -> Callable[[int], None]:
    return lambda _: None


def judged(
    classifier: Classifier,
    taxonomy: Taxonomy,
    validation: list[tuple[int, int, Pictures]],
    test: list[tuple[int, int, Pictures]],
    classes: list[int] = CLASSES,
) -> Judgement:
    trained = [10] * len(classes)
    return judge(classifier, classes, taxonomy, side(validation), side(test), trained, TARGETS, quiet)


def test_every_score_by_hand(classifier: Classifier, taxonomy: Taxonomy) -> None:
    """Accuracy at each level, of all pictures and of the first, is that of a sum over the softmax in numpy."""
    test = drawn(60, seed=2)
    found = judged(classifier, taxonomy, drawn(40, seed=1), test)
    metrics = found.metrics()
    for level in (1, 2, 3):
        above = [taxonomy.ancestor(each, level) for each in CLASSES]
        right, first, among = [], [], []
        for _, label, pictures in test:
            scores = np.exp(np.array(pictures) * SCALE / 255 / found.temperature)
            scores /= scores.sum(axis=1, keepdims=True)
            ranked, ranked_first = (
                sorted(set(above), key=lambda each: -sum(one[place] for place in range(5) if above[place] == each))
                for one in (scores.mean(axis=0), scores[0])
            )
            right.append(ranked[0] == above[label])
            first.append(ranked_first[0] == above[label])
            among.append(above[label] in ranked[:5])
        assert metrics[f"level{level}"] == pytest.approx(np.mean(right))
        assert metrics[f"first_picture_level{level}"] == pytest.approx(np.mean(first))
        assert metrics[f"level{level}_top5"] == pytest.approx(np.mean(among)) == 1
        several = [len(pictures) > 1 for _, _, pictures in test]
        assert metrics[f"several_level{level}"] == pytest.approx(np.mean(np.array(right)[several]))
    assert metrics["products"] == 60
    assert metrics["pictures"] == sum(len(pictures) for _, _, pictures in test)


@pytest.mark.parametrize("boldness", [0.6, 1.0, 2.5])
def test_the_temperature_undoes_what_the_network_overstates(
    boldness: float, classifier: Classifier, taxonomy: Taxonomy
) -> None:
    """The fitted temperature is the factor by which the logits are too large, and brings the ECE down."""
    found = judged(classifier, taxonomy, drawn(3000, 1, boldness), drawn(3000, 2, boldness))
    assert found.temperature == pytest.approx(boldness, rel=0.12)
    assert found.after.error < 0.03
    assert boldness == 1 or found.after.error < found.before.error


def test_nothing_is_chosen_on_the_test_split(classifier: Classifier, taxonomy: Taxonomy) -> None:
    """Another test split changes neither temperature nor thresholds."""
    validation = drawn(200, 1)
    one, other = (judged(classifier, taxonomy, validation, drawn(80, seed, 3.0)) for seed in (2, 3))
    assert one.temperature == other.temperature
    assert {level: each.threshold for level, each in one.assignments.items()} == {
        level: each.threshold for level, each in other.assignments.items()
    }
    assert one.metrics() != other.metrics()


def test_thresholds_reach_their_precision_on_validation(classifier: Classifier, taxonomy: Taxonomy) -> None:
    """Judged on its own validation split, a threshold does what it was chosen for, at each level."""
    products = drawn(400, 4)
    found = judged(classifier, taxonomy, products, products)
    for level in (1, 2, 3):
        assignment = found.assignments[level]
        assert assignment.test.precision >= 0.9
        assert 0 < assignment.test.coverage <= 1
        assert found.metrics()[f"coverage_level{level}"] == assignment.test.coverage
    assert found.assignments[1].test.coverage >= found.assignments[3].test.coverage


def test_without_validation_the_scores_stay_as_they_are(classifier: Classifier, taxonomy: Taxonomy) -> None:
    """Temperature 1, no threshold, and no share that could not be told."""
    found = judged(classifier, taxonomy, [], drawn(30, 2))
    assert found.temperature == 1
    assert all(each.threshold is None and each.test is None for each in found.assignments.values())
    assert not [name for name in found.metrics() if name.startswith(("coverage", "precision"))]
    assert all(np.isfinite(each) for each in found.metrics().values())


def test_an_empty_test_split_is_told(classifier: Classifier, taxonomy: Taxonomy) -> None:
    """There is nothing to be scored on: one sentence with the remedy."""
    with pytest.raises(EvaluationError, match="--test above 0"):
        judged(classifier, taxonomy, drawn(30, 2), [])


@pytest.mark.parametrize("validation", [0, 30])
def test_a_network_of_nan_is_told(validation: int, taxonomy: Taxonomy) -> None:
    """A fit that diverged is not given a score, whether or not there is a validation split to see it on."""
    broken = network(len(CLASSES))
    broken.layers[-1].set_weights([np.full((12, len(CLASSES)), np.nan)])
    with pytest.raises(EvaluationError, match="NaN"):
        judged(Classifier(broken, CLASSES, taxonomy, SIDE, top_k=5), taxonomy, drawn(validation, 1), drawn(30, 2))


def test_a_run_of_level_2_has_no_level_3(taxonomy: Taxonomy) -> None:
    """Its classes are the finest that are scored."""
    classes = [path_id("SPORT", "BALLON"), path_id("MAISON", "SALON"), path_id("MAISON", "CUISINE")]
    small = Classifier(network(3), classes, taxonomy, SIDE, top_k=5)
    products = [(1, 0, [[255, 0, 0]]), (2, 1, [[0, 255, 0], [0, 0, 9]]), (3, 2, [[0, 255, 0]])]
    found = judged(small, taxonomy, products, products, classes)
    metrics = found.metrics()
    assert found.level == 2
    assert set(found.assignments) == {1, 2}
    assert not [name for name in metrics if "level3" in name]
    assert metrics["level2"] == pytest.approx(2 / 3)
    assert metrics["level1"] == 1
    assert (found.confusions[0].truth, found.confusions[0].predicted, found.confusions[0].products) == (2, 1, 1)


def test_one_product_is_enough(classifier: Classifier, taxonomy: Taxonomy) -> None:
    """Neither a figure nor a mean fails on the smallest split."""
    found = judged(classifier, taxonomy, [], [(5, 1, [[0, 255, 0, 0, 0]])])
    assert found.metrics()["level3"] == 1
    assert "several_level3" not in found.metrics()
    assert found.confusions == []


def test_the_table_of_categories_by_hand() -> None:
    """Precision, recall, F1 and the category most often taken for it; what cannot be told is None."""
    truth, predicted = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 1, 1, 2, 1, 1])
    first, second, third, fourth = categories(truth, predicted, [7, 8, 9, 0])
    assert (first.precision, first.recall, first.f1, first.confused) == (1.0, 0.25, 0.4, (1, 2))
    assert (second.precision, second.recall, second.f1, second.confused) == (0.5, 1.0, 2 / 3, None)
    assert (third.precision, third.recall, third.f1) == (0.0, None, None)
    assert (fourth.precision, fourth.recall, fourth.f1, fourth.trained) == (None, None, None, 0)
    assert macro_f1([first, second, third, fourth]) == pytest.approx((0.4 + 2 / 3) / 2)


def test_the_worst_confusions_come_first() -> None:
    """Most products first, equal ones by place; never a category with itself."""
    truth = np.array([0, 0, 0, 2, 2, 1, 1, 1, 1], np.int32)
    predicted = np.array([1, 1, 2, 0, 0, 1, 1, 1, 1], np.int32)
    found = [(each.truth, each.predicted, each.products, each.share) for each in confusions(truth, predicted, 3, 2)]
    assert found == [(0, 1, 2, 2 / 3), (2, 0, 2, 1.0)]
    assert confusions(truth, truth, 3, 9) == []


def test_pictures_are_read_no_further_than_needed() -> None:
    """The first picture of each wanted product, and no batch after the last one."""
    products = drawn(40, 1)
    read = 0

    def counted() -> Iterator[Batch]:
        nonlocal read
        for batch in batches(products):
            read += 1
            yield batch

    found = thumbnails(counted(), {2, 9})
    assert (found.keys(), read) == ({2, 9}, 2)
    assert all(each.startswith("data:image/jpeg;base64,") for each in found.values())
    assert thumbnails(counted(), ()) == {}
    assert read == 2


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Data as `prepare` makes them, of 90 products."""
    from bson import encode

    folder = tmp_path_factory.mktemp("data")
    (folder / CATEGORIES).write_text(TREE)
    dump = folder / "train.bson"
    dump.write_bytes(b"".join(encode(listing(each, category=11 + each % 5)) for each in range(1, 91)))
    recipe = Recipe(validation=0.3, test=0.3)
    return prepare(outline(build(dump), folder / CATEGORIES, recipe), folder / "prepared", processes=1)


@pytest.fixture
def run(data: Data, tmp_path: Path) -> Run:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / CATEGORIES).write_text(TREE)
    network(len(data.classes), side=8).save(folder / MODEL)
    made = Run(
        folder=folder,
        config_name="[red]tiny</title><script>",
        config={},
        data=str(data.folder),
        plan=data.manifest["plan"],
        backbone="none",
        seed=1,
        classes=data.classes,
        picture_side=8,
        counts={"products": 36, "pictures": 36},
    )
    made.write()
    return made


def test_a_run_is_judged_and_keeps_its_scores(data: Data, run: Run) -> None:
    """Report, JSON and CSV are written, and run.json has temperature, thresholds and metrics."""
    from trainer.publishing.publish import open_classifier

    path = evaluate(run, data, open_classifier(run, 5), TARGETS, quiet)
    assert sorted(each.name for each in path.parent.iterdir()) == ["categories.csv", "report.html", "scores.json"]
    kept = Run.open(run.folder)
    assert kept.metrics["products"] == data.splits["test"].products
    assert kept.temperature != 1
    assert set(kept.thresholds) == {"1", "2", "3"}
    assert open_classifier(kept).temperature == kept.temperature
    facts = json.loads((path.parent / "scores.json").read_text())
    assert facts["metrics"] == kept.metrics
    with (path.parent / "categories.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(each["category_id"]) for each in rows] == data.classes
    assert sum(int(each["products"]) for each in rows) == kept.metrics["products"]
    assert rows[4]["path"] == "SPORT > BALLON > <script>alert(1)</script>"
    assert not [each for each in run.folder.iterdir() if "part" in each.name]


def test_the_report_stands_alone_and_escapes_names(data: Data, run: Run) -> None:
    """One file: no link to anything but its neighbours, no name that becomes markup."""
    from trainer.publishing.publish import open_classifier

    page = evaluate(run, data, open_classifier(run, 5), TARGETS, quiet).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "http" not in page
    assert page.count("data:image/png;base64,") == 4
    assert page.count("data:image/jpeg;base64,") > 1


def test_judging_again_replaces_the_report(data: Data, run: Run) -> None:
    """The folder is that of the last evaluation alone, with the same scores for the same run."""
    from trainer.publishing.publish import open_classifier

    path = evaluate(run, data, open_classifier(run, 5), TARGETS, quiet)
    before = (path.parent / "scores.json").read_bytes()
    (path.parent / "stray.txt").write_text("x")
    evaluate(run, data, open_classifier(run, 5), TARGETS, quiet)
    assert not (path.parent / "stray.txt").exists()
    assert (path.parent / "scores.json").read_bytes() == before


def test_a_report_that_cannot_be_written_changes_nothing(data: Data, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is one sentence; the run keeps what it had."""
    from trainer.publishing.publish import open_classifier

    before = (run.folder / "run.json").read_bytes()

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    classifier = open_classifier(run, 5)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(EvaluationError, match=r"No space left on device.*free some room"):
        evaluate(run, data, classifier, TARGETS, quiet)
    assert (run.folder / "run.json").read_bytes() == before
    assert not [each for each in run.folder.iterdir() if "evaluation" in each.name]


def test_without_validation_it_is_said(
    data: Data, run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the log and in the report."""
    from trainer.publishing.publish import open_classifier

    manifest = {**data.manifest, "splits": {**data.manifest["splits"]}}
    manifest["splits"]["validation"] = {"shards": [], "products": 0, "pictures": 0, "counts": [0] * 5}
    with caplog.at_level(logging.WARNING, "trainer"):
        path = evaluate(run, dataclasses.replace(data, manifest=manifest), open_classifier(run, 5), TARGETS, quiet)
    assert "no validation split" in caplog.text
    assert "no thresholds" in " ".join(path.read_text().split())
    assert Run.open(run.folder).thresholds == {"1": None, "2": None, "3": None}


def test_data_that_are_gone_are_told(data: Data, run: Run, tmp_path: Path) -> None:
    """The sentence names the folder and the remedy; data that moved are named by --data."""
    assert open_data(run).folder == data.folder
    run.data = str(tmp_path / "gone")
    with pytest.raises(EvaluationError, match=r"gone, the data of .*run, is gone: .*--data"):
        open_data(run)
    assert open_data(run, data.folder).classes == run.classes


def test_data_prepared_otherwise_are_told(run: Run) -> None:
    """Products that it was trained on would be scored: refused before anything is read."""
    run.plan = "another"
    with pytest.raises(EvaluationError, match=r"was prepared otherwise than what .*--data"):
        open_data(run)


def test_runs_side_by_side(data: Data, run: Run) -> None:
    """A run's line has its scores; one that was not evaluated says so and has none."""
    from rich.console import Console

    plain = row(run)
    assert (plain["evaluated"], plain["level3"], plain["classes"], plain["data"]) == (False, None, 5, "prepared")
    shares = {"level1": 0.75, "level2": 0.5, "level3": 0.25, "level3_top5": 0.9}
    run.metrics = {**shares, "macro_f1": 0.2, "ece_after": 0.05}
    scored = row(run)
    assert (scored["top5"], scored["ece"], scored["evaluated"]) == (0.9, 0.05, True)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table([scored, plain]))
    told = console.export_text()
    assert "75.00%" in told
    assert "[red]tiny" in told  # a bracket is no markup
    assert told.index("25.00%") < told.rindex("none")


def test_the_most_frequent_category_is_the_yardstick(classifier: Classifier, taxonomy: Taxonomy) -> None:
    """The report says what naming one category always would give."""
    found = judged(classifier, taxonomy, [], [(each, each % 4 and 1, [[0, 255, 0, 0, 0]]) for each in range(1, 9)])
    assert report._most_frequent(found) == 0.75

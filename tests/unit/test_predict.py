"""The best categories of single pictures: ranked as the published graph ranks them."""

import io
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from rich.console import Console
from typer.testing import CliRunner

from tests.pictures import draw, jpeg
from trainer.cli import app
from trainer.graph import Classifier
from trainer.prediction.predict import BATCH, TOP, Ranked, predict, table
from trainer.run import CATEGORIES, MODEL, Run
from worker.contract.taxonomy import Taxonomy

SIDE = 60
TREE = """category_id,category_level1,category_level2,category_level3
11,MAISON,CUISINE,[red]TASSE[/red]
12,MAISON,CUISINE,ASSIETTE
13,MAISON,SALON,LAMPE
14,SPORT,BALLON,FOOTBALL
15,SPORT,BALLON,BASKET
16,SPORT,CYCLE,VELO
"""


def make(folder: Path, level: int = 3) -> Run:
    """A finished run with a tiny network, of level-3 or level-2 classes."""
    (folder / CATEGORIES).write_text(TREE)
    classes = [each.id for each in Taxonomy.from_csv(folder / CATEGORIES).level(level)]
    keras.utils.set_random_seed(3)
    picture = keras.Input((SIDE, SIDE, 3))
    small = layers.Rescaling(1 / 64, offset=-2)(layers.AveragePooling2D(20)(picture))
    keras.Model(picture, layers.Dense(len(classes))(layers.Flatten()(small))).save(folder / MODEL)
    run = Run(folder, "tiny", {}, "none", "", "tiny", 1, classes, SIDE, {})
    run.temperature = 1.5
    run.write()
    return run


def opened(run: Run, top_k: int = TOP) -> Classifier:
    from trainer.publishing.publish import open_classifier

    return open_classifier(run, top_k)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make(tmp_path_factory.mktemp("coarse"), level=2)


def drawn(count: int) -> np.ndarray:
    return np.stack([np.asarray(draw(seed, SIDE)) for seed in range(count)])


def ids(ranked: Ranked) -> dict[int, list[int]]:
    return {level: [category.id for category, _ in found] for level, found in ranked.levels.items()}


def scores(ranked: Ranked) -> list[float]:
    return [score for found in ranked.levels.values() for _, score in found]


def test_pictures_are_products_of_their_own(run: Run) -> None:
    """Each as the graph answers it alone, finest level first, over more than one batch."""
    classifier, pixels = opened(run), drawn(BATCH + 3)
    found = predict(classifier, run.taxonomy, 3, pixels, together=False)
    assert len(found) == BATCH + 3
    assert len({tuple(ids(each)[3]) for each in found}) > 3
    for place in (0, BATCH, BATCH + 2):
        answer = classifier(pixels[place : place + 1], np.array([0]), np.array([0], np.int32))
        assert list(found[place].levels) == [3, 2, 1]
        assert ids(found[place])[3] == answer["category"][0].numpy().tolist()
        assert scores(found[place])[:TOP] == pytest.approx(answer["score"][0].numpy().tolist(), abs=1e-6)


def test_together_is_the_mean(run: Run) -> None:
    """The pictures of one product, in one answer, as the graph gives it."""
    classifier, pixels = opened(run), drawn(BATCH + 1)
    (found,) = predict(classifier, run.taxonomy, 3, pixels, together=True)
    count = len(pixels)
    answer = classifier(pixels, np.zeros(count, np.int64), np.arange(count, dtype=np.int32))
    assert ids(found)[3] == answer["category"][0].numpy().tolist()
    assert scores(found)[:TOP] == pytest.approx(answer["score"][0].numpy().tolist(), abs=1e-5)


def test_a_level_2_run_has_no_level_3(coarse: Run) -> None:
    """Nothing finer than its classes is ranked."""
    (found,) = predict(opened(coarse), coarse.taxonomy, 2, drawn(1), together=False)
    assert list(found.levels) == [2, 1]
    assert {category.level for category, _ in found.levels[2]} == {2}


def test_the_table_shows_names_as_they_are(run: Run) -> None:
    """A bracket in a name is no markup, neither a category's nor a file's."""
    (found,) = predict(opened(run, 6), run.taxonomy, 3, drawn(1), together=False)
    console = Console(width=120, file=io.StringIO())
    console.print(table(["a [bold]b.jpg"], found))
    told = console.file.getvalue()
    assert "a [bold]b.jpg" in told
    assert "[red]TASSE[/red]" in told
    assert "ASSIETTE" in told


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["predict", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_prints_a_table_a_product(run: Run, coarse: Run, tmp_path: Path) -> None:
    """Two pictures are two products, or one with --together; four categories a level where there are so many."""
    names = [tmp_path / "one.jpg", tmp_path / "two.jpg"]
    for seed, path in enumerate(names):
        path.write_bytes(jpeg(seed))
    apart, together = invoke(run.folder, *names), invoke(run.folder, *names, "--together")
    assert (apart.count("level"), together.count("level")) == (2, 1)
    assert apart.count("%") == 2 * (4 + 4 + 2)
    assert together.count("%") == 4 + 4 + 2
    assert "TASSE" not in invoke(coarse.folder, *names)

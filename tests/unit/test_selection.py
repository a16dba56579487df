"""Which products are trained on: what is left out and why, and the sides that no picture crosses."""

import random
from pathlib import Path

import bson
import numpy as np
import pytest
from bson.int64 import Int64
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.index import Index, build
from trainer.prepare.selection import COVERED, WITHOUT, Recipe, SelectionError, recipe_of, select
from trainer.prepare.split import SPLITS, TEST, TRAIN, groups_of, split
from worker.contract.taxonomy import Taxonomy

TREE = Taxonomy.from_shelves({each: ("A", f"B{each // 10}", f"C{each}") for each in range(10, 40)})


def make(folder: Path, labels: list[int | None]) -> Index:
    """A dump of one product a label."""
    path = folder / "train.bson"
    with path.open("wb") as file:
        for place, label in enumerate(labels):
            document = {"_id": Int64(place), "imgs": [{"picture": b"%d" % place}]}
            file.write(bson.encode(document if label is None else {**document, "category_id": Int64(label)}))
    return build(path, processes=1)


def chosen(index: Index, recipe: Recipe, verdicts: dict[int, int] | None = None) -> dict[int, int]:
    """Product id -> category id."""
    selection = select(index, TREE, recipe, verdicts or {})
    return {
        int(index.products["id"][row]): selection.classes[label]
        for row, label in zip(selection.rows, selection.labels, strict=True)
    }


def test_small_categories_go(tmp_path: Path) -> None:
    """The minimum is in products; what goes is counted by reason."""
    index = make(tmp_path, [10, 10, 11, 12, 12, 12, None])
    selection = select(index, TREE, Recipe(minimum=2), {})
    assert selection.classes == [10, 12]
    assert selection.labels.tolist() == [0, 0, 1, 1, 1]
    assert selection.left_out == {"category below the minimum": 1, "no category": 1}


def test_level_2_joins_what_is_below(tmp_path: Path) -> None:
    """Classes are the ancestors; the minimum counts theirs."""
    index = make(tmp_path, [10, 11, 20, 21, 30])
    selection = select(index, TREE, Recipe(level=2), {})
    assert selection.classes == sorted(TREE.ancestor(each, 2) for each in (10, 20))
    assert len(selection.rows) == 4


def test_a_cap_balances(tmp_path: Path) -> None:
    """No category has more; which products stay is drawn by the seed."""
    index = make(tmp_path, [10] * 50 + [11] * 3)
    one, other = (select(index, TREE, Recipe(cap=5, seed=seed), {}) for seed in (1, 2))
    assert np.bincount(one.labels).tolist() == [5, 3]
    assert one.rows.tolist() != other.rows.tolist()
    assert one.rows.tolist() == select(index, TREE, Recipe(cap=5, seed=1), {}).rows.tolist()


def test_a_sample_covers_rare_categories(tmp_path: Path) -> None:
    """Two products of each come first, the rest is uniform; the size is what was asked for."""
    index = make(tmp_path, [10] * 1000 + [11] * 2 + [12] + [13] * 400)
    counts = np.bincount(list(chosen(index, Recipe(sample=200, minimum=1)).values()))
    assert counts.sum() == 200
    assert counts[[11, 12]].tolist() == [COVERED, 1]
    assert 110 < counts[10] < 170
    few = chosen(index, Recipe(sample=4, minimum=1))
    assert sorted(few.values()) == [10, 11, 12, 13]


def test_verdicts_correct_labels(tmp_path: Path) -> None:
    """A person's decision wins, one on a product that is elsewhere is no matter, and changes are counted."""
    index = make(tmp_path, [10, 10, 11, 11, None])
    verdicts = {0: 11, 1: 10, 4: 10, 999: 12}
    assert chosen(index, Recipe(), verdicts) == {0: 11, 1: 10, 2: 11, 3: 11, 4: 10}
    assert select(index, TREE, Recipe(), verdicts).corrected == 2


def test_an_unknown_category_is_told_by_id(tmp_path: Path) -> None:
    """The message names the ids that the category file lacks, and both remedies; --without is one."""
    index = make(tmp_path, [10, 10, 11, 11, 77, 5])
    with pytest.raises(SelectionError, match=r"category file lacks: 5, 77; add their lines.*--without"):
        select(index, TREE, Recipe(), {})
    selection = select(index, TREE, Recipe(without=(5, 77)), {})
    assert selection.left_out == {WITHOUT: 2}


def test_very_many_unknown_categories_are_counted(tmp_path: Path) -> None:
    """The wrong category file does not fill the screen."""
    with pytest.raises(SelectionError, match="lacks: 100, .*, 109 and 20 more; add"):
        select(make(tmp_path, list(range(100, 130))), TREE, Recipe(), {})


def test_a_listing_dump_is_no_training_dump(tmp_path: Path) -> None:
    """Nothing can be learned from one class."""
    with pytest.raises(SelectionError, match="of 0 categories, and at least 2 are needed"):
        select(make(tmp_path, [None, None]), TREE, Recipe(), {})


def test_an_id_counts_once(tmp_path: Path) -> None:
    """A product that is in the dump twice would be on two sides."""
    index = make(tmp_path, [10, 10, 11, 11])
    path = index.dump
    path.write_bytes(path.read_bytes() * 2)
    selection = select(build(path), TREE, Recipe(), {})
    assert selection.left_out == {"id seen before": 4}


def test_wrong_options_are_told_by_name() -> None:
    """All at once, with what was given."""
    with pytest.raises(SelectionError, match=r"--level 4.*--sample 0"):
        recipe_of(None, {"level": 4, "sample": 0, "cap": None})
    with pytest.raises(SelectionError, match="leave nothing to train on"):
        recipe_of(None, {"validation": 0.6, "test": 0.4})
    assert recipe_of(Recipe(level=2, cap=9), {"cap": 5, "level": None}) == Recipe(level=2, cap=5)


PRODUCTS = st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 40), min_size=1, max_size=3)), min_size=1)
SHARES = st.sampled_from([0.0, 0.1, 0.4])


@settings(deadline=None)
@given(PRODUCTS, SHARES, SHARES, st.integers(0, 99))
def test_no_picture_is_on_two_sides(
    products: list[tuple[int, list[int]]], validation: float, test: float, seed: int
) -> None:
    """Directly or through others; and every category keeps something to learn from."""
    labels = np.array([label for label, _ in products])
    owners = np.concatenate([[place] * len(pictures) for place, (_, pictures) in enumerate(products)])
    pictures = np.concatenate([pictures for _, pictures in products]).astype(np.uint64)
    groups = groups_of(owners, pictures, len(products))
    sides = split(groups, labels, validation, test, seed)
    assert np.array_equal(sides, split(groups, labels, validation, test, seed))
    side_of: dict[int, int] = {}
    for owner, picture in zip(owners.tolist(), pictures.tolist(), strict=True):
        assert side_of.setdefault(picture, sides[owner]) == sides[owner]
    assert set(labels[sides == TRAIN]) == set(labels)


def test_sides_have_their_share_of_every_category() -> None:
    """Large categories to a product; small ones on the average."""
    labels = np.array([0] * 1000 + [1] * 400 + [2] * 5)
    sides = split(np.arange(len(labels)), labels, 0.2, 0.1, seed=3)
    counts = [[int(np.sum((labels == label) & (sides == side))) for side in range(len(SPLITS))] for label in range(2)]
    assert counts == [[700, 200, 100], [280, 80, 40]]
    small = [np.sum(split(np.arange(5), np.zeros(5, int), 0, 0.1, seed) == TEST) for seed in range(400)]
    assert 0.4 < np.mean(small) < 0.6


def test_a_large_group_trains() -> None:
    """A placeholder that nine of ten products show must not become the test split."""
    groups = np.concatenate([np.zeros(900, int), np.arange(1, 101)])
    for seed in range(12):
        sides = split(groups, np.zeros(1000, int), 0.1, 0.1, seed)
        assert sides[0] == TRAIN
        assert np.sum(sides == TEST) <= 100


def test_seeds_differ() -> None:
    """Another seed, another split."""
    chance = random.Random(1)
    labels = np.array([chance.randrange(5) for _ in range(500)])
    groups = np.arange(500)
    assert not np.array_equal(split(groups, labels, 0.1, 0.1, 1), split(groups, labels, 0.1, 0.1, 2))

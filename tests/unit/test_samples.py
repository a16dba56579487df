"""A training set from a dump: what is left out is counted, and what cannot be trained is told."""

from pathlib import Path
from typing import Any

import bson
import pytest
from bson.int64 import Int64

from tests.pictures import listing
from trainer.samples import Reading, SamplesError, labelled, take_census
from worker.contract.taxonomy import Taxonomy

TREE = Taxonomy.from_shelves({each: ("A", "B", f"C{each}") for each in (10, 11, 12)})


def picture(identity: int) -> bytes:
    return b"\xff\xd8\xff" + str(identity).encode()


def product(identity: int, *pictures: Any, category: int = 10) -> dict[str, Any]:
    return listing(identity, *(pictures or (picture(identity),)), category=category)


def write(folder: Path, documents: list[dict[str, Any]], cut: int = 0) -> Path:
    path = folder / "train.bson"
    content = b"".join(map(bson.encode, documents))
    path.write_bytes(content[: len(content) - cut])
    return path


def many(count: int) -> list[dict[str, Any]]:
    return [product(each, category=10 + each % 3) for each in range(count)]


def test_a_census_counts_what_can_be_trained(tmp_path: Path) -> None:
    """Products and pictures are counted, and the classes are the categories in order of id."""
    documents = [product(1, category=12), product(2, b"a", b"b", category=10), product(3, b"a", None, category=12)]
    census = take_census(write(tmp_path, documents), TREE, 0, 1)
    assert (census.products, census.pictures, census.classes) == (3, 4, [10, 12])
    assert (census.held_out, dict(census.reading.left_out), census.reading.damage) == (set(), {}, None)


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    """Documents that are no labelled product do not stop the fit, and none goes unmentioned."""
    without_category = [{"_id": 1, "imgs": [{"picture": b"x"}]}, product(2) | {"category_id": "12"}]
    without_pictures = [product(3) | {"imgs": []}, product(4) | {"imgs": "none"}, product(5) | {"imgs": None}]
    of_another_type = [product(6) | {"_id": "six"}, product(7) | {"_id": 7.5}]
    not_bytes = [product(8, None, "text")]
    documents = [*without_category, *without_pictures, *of_another_type, *not_bytes, *many(9)]
    census = take_census(write(tmp_path, documents), TREE, 0, 1)
    assert census.products == 9
    left_out = census.reading.left_out
    assert (left_out["no category"], left_out["bad_id"], left_out.total()) == (2, 2, 8)


def test_an_unknown_category_is_told_by_id(tmp_path: Path) -> None:
    """The message names the ids that the category file lacks, and the remedy."""
    documents = [*many(6), product(90, category=77), product(91, category=5), product(92, category=77)]
    with pytest.raises(SamplesError, match="category file lacks: 5, 77; add their lines to it"):
        take_census(write(tmp_path, documents), TREE, 0, 1)


def test_very_many_unknown_categories_are_counted(tmp_path: Path) -> None:
    """The wrong category file does not fill the screen."""
    documents = [product(each, category=100 + each) for each in range(30)]
    with pytest.raises(SamplesError, match="lacks: 100, .*, 109 and 20 more; add"):
        take_census(write(tmp_path, documents), TREE, 0, 1)


def test_a_category_of_another_level_is_unknown(tmp_path: Path) -> None:
    """Products stand on level-3 shelves: an id of level 1 or 2 is no class."""
    shelf = TREE.level(2)[0].id
    with pytest.raises(SamplesError, match=str(shelf)):
        take_census(write(tmp_path, [*many(6), product(90, category=shelf)]), TREE, 0, 1)


def test_a_truncated_dump_keeps_what_is_before(tmp_path: Path) -> None:
    """The census is of the whole documents, and the damage is in it for whoever has to decide."""
    census = take_census(write(tmp_path, many(9), cut=5), TREE, 0, 1)
    assert census.products == 8
    assert census.reading.damage is not None
    assert census.reading.damage.count == 8


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no dump"], ids=["empty", "no dump"])
def test_a_dump_without_products_is_told(content: bytes, tmp_path: Path) -> None:
    """Nothing can be trained on nothing."""
    path = tmp_path / "train.bson"
    path.write_bytes(content)
    with pytest.raises(SamplesError, match="of 0 categories, and at least 2 are needed: is it a training dump"):
        take_census(path, TREE, 0.1, 1)


def test_one_category_is_not_enough(tmp_path: Path) -> None:
    """A test dump, or a cut one, is told before hours of training."""
    with pytest.raises(SamplesError, match="products of 1 categories, and at least 2 are needed"):
        take_census(write(tmp_path, [product(1), product(2)]), TREE, 0, 1)


def test_classes_are_those_of_training_products(tmp_path: Path) -> None:
    """A category whose every product is held out has nothing to learn from, and is no class."""
    documents = [*many(200), product(999, category=12) | {"_id": Int64(999)}]
    documents = [each for each in documents if each["category_id"] != 12 or each["_id"] == 999]
    seen = set()
    for seed in range(40):
        census = take_census(write(tmp_path, documents), TREE, 0.3, seed)
        assert (12 in census.classes) == (999 not in census.held_out)
        seen.add(12 in census.classes)
    assert seen == {True, False}


def test_products_with_a_common_picture_are_held_out_together(tmp_path: Path) -> None:
    """Copies in the dump are on one side, even when their sellers chose different shelves."""
    documents = [product(each, picture(each // 2), category=10 + each % 3) for each in range(400)]
    held = take_census(write(tmp_path, documents), TREE, 0.3, 1).held_out
    assert 60 < len(held) < 180
    assert all((each in held) == (each + 1 in held) for each in range(0, 400, 2))


def test_labelled_products_come_with_their_bytes(tmp_path: Path) -> None:
    """What is read a second time for training is the same: id, category and the pictures that are bytes."""
    path = write(tmp_path, [product(1, b"a", None, b"b", category=11), {"_id": 2, "imgs": []}], cut=1)
    reading = Reading()
    assert [(each.id, category, pictures) for each, category, pictures in labelled(path, reading)] == [
        (1, 11, [b"a", b"b"])
    ]
    assert reading.damage is not None
    assert reading.damage.count == 1


def test_undecodable_pictures_are_counted(tmp_path: Path) -> None:
    """Pictures that fail later are told beside the rest."""
    census = take_census(write(tmp_path, many(6)), TREE, 0, 1)
    census.undecodable(1)
    census.undecodable(2)
    assert census.reading.left_out == {"undecodable pictures": 2}

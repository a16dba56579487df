"""The toy catalog: drawn from a seed, in the real dump's format."""

import csv
import io
import random
from collections import Counter, defaultdict
from pathlib import Path

import bson
import pytest
from bson.int64 import Int64
from PIL import Image

from deploy.local.toy import ToyCatalog, draw
from deploy.local.toy_pictures import SIDE
from deploy.local.toy_shapes import SHELVES

PRODUCTS, LISTINGS = 120, 30


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> ToyCatalog:
    return draw(tmp_path_factory.mktemp("toy") / "made" / "for us", products=PRODUCTS, listings=LISTINGS)


@pytest.fixture(scope="module")
def dump(catalog: ToyCatalog) -> list[dict]:
    return bson.decode_all(catalog.dump.read_bytes())


@pytest.fixture(scope="module")
def listings(catalog: ToyCatalog) -> list[dict]:
    return bson.decode_all(catalog.listings.read_bytes())


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files(catalog: ToyCatalog) -> list[bytes]:
    return [path.read_bytes() for path in (catalog.dump, catalog.categories, catalog.listings, catalog.labels)]


def pictures(document: dict) -> tuple[bytes, ...]:
    return tuple(img["picture"] for img in document["imgs"])


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    """Two runs with the same arguments write the same bytes, over whatever was there."""
    first = files(draw(tmp_path, products=25, listings=5))
    (tmp_path / "train.bson").write_bytes(b"left by an earlier run")
    assert files(draw(tmp_path, products=25, listings=5)) == first
    assert len(list(tmp_path.iterdir())) == 4


def test_other_seed_other_products(tmp_path: Path) -> None:
    """Another seed draws other products of the same tree."""
    one = draw(tmp_path / "one", products=5, listings=2, seed=1)
    two = draw(tmp_path / "two", products=5, listings=2, seed=2)
    assert one.dump.read_bytes() != two.dump.read_bytes()
    assert one.listings.read_bytes() != two.listings.read_bytes()
    assert one.categories.read_bytes() == two.categories.read_bytes()


def test_global_random_state_is_left_alone(tmp_path: Path) -> None:
    """Drawing neither reads nor advances the interpreter's own random numbers."""
    random.seed(1)
    before = random.getstate()
    draw(tmp_path, products=2, listings=1)
    assert random.getstate() == before


def test_documents_have_the_dumps_fields_and_types(dump: list[dict], listings: list[dict]) -> None:
    """A product is {_id: Int64, category_id: Int64, imgs: [{picture: bytes}]}; a listing lacks the category."""
    assert (len(dump), len(listings)) == (PRODUCTS, LISTINGS)
    assert {tuple(document) for document in dump} == {("_id", "category_id", "imgs")}
    assert {tuple(document) for document in listings} == {("_id", "imgs")}
    assert all(isinstance(document["category_id"], Int64) for document in dump)
    for document in dump + listings:
        assert isinstance(document["_id"], Int64)
        assert 1 <= len(document["imgs"]) <= 4
        assert all(list(img) == ["picture"] and isinstance(img["picture"], bytes) for img in document["imgs"])


def test_pictures_are_jpeg_of_the_dumps_size(dump: list[dict], listings: list[dict]) -> None:
    """Every picture decodes as a 180 x 180 RGB JPEG that shows something."""
    for picture in (picture for document in dump + listings for picture in pictures(document)):
        image = Image.open(io.BytesIO(picture))
        image.load()
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIDE, SIDE))
        darkest, lightest = image.convert("L").getextrema()
        assert lightest - darkest > 50


def test_picture_counts_follow_the_real_dump(dump: list[dict]) -> None:
    """Most products have one picture; some have four."""
    counts = Counter(len(document["imgs"]) for document in dump)
    assert counts[1] > PRODUCTS / 2
    assert counts[4] > 0
    assert 1.4 < sum(count * products for count, products in counts.items()) / PRODUCTS < 2.1


def test_pictures_of_a_product_differ(dump: list[dict]) -> None:
    """No product shows the same picture twice."""
    assert all(len(set(pictures(document))) == len(document["imgs"]) for document in dump)


def test_ids_are_unique_and_listings_apart(dump: list[dict], listings: list[dict]) -> None:
    """Ids are spread over the real range; no listing has the id of a product in the dump."""
    ids = [document["_id"] for document in dump + listings]
    assert len(set(ids)) == PRODUCTS + LISTINGS
    assert 10 <= min(ids) < 1_000_000 < 14_000_000 < max(ids) < 15_000_000


def test_tree_has_three_levels(catalog: ToyCatalog) -> None:
    """The names file is the real one's shape: 10-digit ids, upper-case names, each level-2 name under one level-1."""
    tree = rows(catalog.categories)
    assert list(tree[0]) == ["category_id", "category_level1", "category_level2", "category_level3"]
    paths = {(row["category_level1"], row["category_level2"], row["category_level3"]) for row in tree}
    assert len(paths) == len({row["category_id"] for row in tree}) == len(tree) == len(SHELVES) >= 24
    assert all(len(row["category_id"]) == 10 for row in tree)
    assert all(name == name.upper().strip() for path in paths for name in path)
    assert len({path[0] for path in paths}) == 6
    assert len({path[:2] for path in paths}) == len({path[1] for path in paths}) >= 12


def test_names_repeat_and_need_utf8(catalog: ToyCatalog) -> None:
    """As in the real tree a level-3 name stands under two parents, and names are not ASCII alone."""
    parents = defaultdict(set)
    for row in rows(catalog.categories):
        parents[row["category_level3"]].add(row["category_level2"])
    assert sorted(name for name, found in parents.items() if len(found) > 1) == ["BALLON", "CASQUE"]
    assert not catalog.categories.read_bytes().isascii()


def test_labels_name_every_listing(catalog: ToyCatalog, dump: list[dict], listings: list[dict]) -> None:
    """Each listing has one label, in order, and its category is one the dump has products of."""
    labels = rows(catalog.labels)
    assert [int(row["_id"]) for row in labels] == [document["_id"] for document in listings]
    assert {int(row["category_id"]) for row in labels} <= {document["category_id"] for document in dump}
    assert {document["category_id"] for document in dump} == {shelf.id for shelf in SHELVES}


def test_some_products_copy_anothers_pictures(dump: list[dict]) -> None:
    """About one product in twenty shows, byte for byte, the pictures of another of its category."""
    shown = defaultdict(list)
    for document in dump:
        shown[pictures(document)].append(document["category_id"])
    copied = [categories for categories in shown.values() if len(categories) > 1]
    assert all(len(set(categories)) == 1 for categories in copied)
    assert 0.02 < sum(len(categories) - 1 for categories in copied) / PRODUCTS < 0.08


def test_default_size_leaves_no_shelf_thin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """At the default size each category has 8 products or more, the fullest about three times the emptiest."""
    monkeypatch.setattr("deploy.local.toy.pictures", lambda *_: iter([b"not drawn"]))
    stock = Counter(document["category_id"] for document in bson.decode_all(draw(tmp_path).dump.read_bytes()))
    assert sum(stock.values()) == 640
    assert min(stock.values()) >= 8
    assert 2 < max(stock.values()) / min(stock.values()) < 4


def test_failure_leaves_the_old_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run that dies midway leaves the earlier catalog whole and no debris."""
    before = files(draw(tmp_path, products=3, listings=1))

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("deploy.local.toy.pictures", fail)
    with pytest.raises(OSError, match="disk full"):
        draw(tmp_path, products=3, listings=1, seed=8)
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [before[i] for i in (1, 2, 3, 0)]


def test_every_shelf_can_be_drawn() -> None:
    """Drawings keep to the unit square, near enough, and to the colour roles there are."""
    roles = {"body", "trim", "shade", "tint", "dark", "metal", "paper", "ground"}
    for shelf in SHELVES:
        assert {part.role for part in shelf.parts} <= roles
        assert all(-0.1 < x < 1.1 and -0.1 < y < 1.1 for part in shelf.parts for x, y in part.points), shelf.level3

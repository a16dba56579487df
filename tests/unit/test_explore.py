"""The report on a dump: numbers against dumps counted by hand; hostile names and pictures do not break the page."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import bson
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.pictures import encode, huge_png, jpeg, listing
from trainer.cli import app
from trainer.explore import copies as copying
from trainer.explore.copies import Copies, find
from trainer.explore.counts import count, labels_of
from trainer.explore.explore import ExploreError, explore
from trainer.explore.findings import Findings
from trainer.explore.sheets import TILE, decode
from trainer.explore.statistics import gini, needed_for, spread
from trainer.explore.tree import grow
from trainer.index import build
from worker.contract.taxonomy import Category, Taxonomy, path_id

SHELVES = {
    10: ("Maison", "Cuisine", "Poêles"),
    11: ("Maison", "Cuisine", "Plats"),
    12: ("Maison", "Linge", "Draps"),
    13: ("Jeux", "Jeux", "Puzzles"),
    14: ("Jeux", "Jeux", "Cartes"),
}
TREE = Taxonomy.from_shelves(SHELVES)
#: 10 has three products, 11 and 12 two and one, 13 and 14 none; 99 is not in the tree, and one has no category
DOCUMENTS = [
    listing(1, b"a", b"b", category=10),
    listing(2, b"a", category=10),
    listing(3, b"c", b"c", b"d", category=10),
    listing(4, b"a", b"e", category=11),
    listing(5, b"e", category=11),
    listing(6, b"e", category=12),
    listing(7, b"f", category=99),
    listing(8, b"d"),
]


def dump_of(folder: Path, documents: list[dict[str, Any]], after: bytes = b"") -> Path:
    path = folder / "train.bson"
    path.write_bytes(b"".join(map(bson.encode, documents)) + after)
    return path


def look(folder: Path, documents: list[dict[str, Any]], *chosen: int, tree: Taxonomy = TREE) -> Findings:
    index = build(dump_of(folder, documents), processes=1)
    return explore(index, tree, folder / "out", chosen, lambda *_: lambda _: None)


def copies_of(folder: Path, documents: list[dict[str, Any]]) -> Copies:
    index = build(dump_of(folder, documents), processes=1)
    return find(index, labels_of(index), TREE)


def page(folder: Path) -> str:
    return (folder / "out" / "explore.html").read_text(encoding="utf-8")


def facts(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "out" / "explore.json").read_text(encoding="utf-8"))


def test_products_and_pictures_are_counted_at_each_level(tmp_path: Path) -> None:
    """A product counts under its category and those above it; other labels are counted apart."""
    index = build(dump_of(tmp_path, DOCUMENTS), processes=1)
    counts = count(index, labels_of(index), TREE)
    held = {category.name: counts.by_id[category.id] for category in TREE.categories if category.name != "Jeux"}
    assert held == {
        "Maison": (6, 10), "Cuisine": (5, 9), "Linge": (1, 1),
        "Poêles": (3, 6), "Plats": (2, 3), "Draps": (1, 1), "Puzzles": (0, 0), "Cartes": (0, 0),
    }  # fmt: skip
    assert counts.by_id[path_id("Jeux")] == counts.by_id[path_id("Jeux", "Jeux")] == (0, 0)
    assert (counts.labelled, counts.unlabelled, counts.unlisted) == (6, 1, {99: 1})
    assert [each.id for each in counts.levels[3].holding(1)] == [12]
    assert [each.id for each in counts.levels[3].holding(5)] == [10, 11, 12]
    assert [each.id for each in counts.levels[3].holding(0, 0)] == [13, 14]


def test_the_tree_has_the_fullest_branch_first(tmp_path: Path) -> None:
    """Nodes hang under their parents, in order of products, then of name."""
    index = build(dump_of(tmp_path, DOCUMENTS), processes=1)
    maison, jeux = grow(count(index, labels_of(index), TREE))
    assert (maison.category.name, maison.products, jeux.products) == ("Maison", 6, 0)
    assert [node.category.name for node in maison.children] == ["Cuisine", "Linge"]
    assert [node.category.name for node in jeux.children[0].children] == ["Cartes", "Puzzles"]


def test_the_spread_of_products() -> None:
    """Ten categories that have products and two that have none, by hand."""
    found = spread(np.array([1, 1, 0, 1, 2, 3, 4, 8, 0, 10, 20, 50]))
    assert (found.categories, found.empty, found.single, found.few) == (12, 2, 3, 6)
    assert (found.smallest, found.median, found.mean, found.largest) == (1, 3.5, 10.0, 50)
    assert found.head_share == 0.5
    assert found.tail_share == pytest.approx(8 / 100)
    assert found.needed == {0.5: 1, 0.8: 3, 0.95: 6}


def test_a_spread_of_nothing_is_none() -> None:
    """Without products there is nothing to divide by."""
    found = spread(np.zeros(3, np.int64))
    assert (found.empty, found.largest, found.gini, found.head_share, found.needed) == (3, 0, None, None, {})


@pytest.mark.parametrize(
    ("values", "wanted"), [([5, 5, 5, 5], 0), ([0, 0, 0, 8], 0.75), ([1, 3], 0.25), ([3, 1], 0.25), ([7], 0)]
)
def test_the_gini_coefficient(values: list[int], wanted: float) -> None:
    """Half the mean difference of all pairs over the mean."""
    assert gini(np.array(values)) == pytest.approx(wanted)
    pairs = np.abs(np.subtract.outer(values, values)).mean() / 2 / np.mean(values)
    assert gini(np.array(values)) == pytest.approx(pairs)


def test_a_share_that_is_met_exactly_needs_no_further_category() -> None:
    """0.95 of 20 is 19, whatever floats make of it."""
    assert needed_for(np.array([19, 1]), 0.95) == 1
    assert needed_for(np.array([18, 1, 1]), 0.95) == 2
    assert needed_for(np.array([1]), 0.5) == 1


def test_copies_are_counted(tmp_path: Path) -> None:
    """a and e occur three times, c and d twice, b and f once; one copy of c is within a product."""
    found = copies_of(tmp_path, DOCUMENTS)
    assert (found.pictures, found.distinct, found.copies, found.shared, found.within_product) == (12, 6, 6, 10, 1)
    assert found.occurrences == {1: 2, 2: 2, 3: 2}
    assert sorted((each.occurrences, each.products, each.categories) for each in found.largest) == [
        (2, 1, 1), (2, 2, 1), (3, 3, 2), (3, 3, 2)
    ]  # fmt: skip


def test_conflicting_labels_are_counted(tmp_path: Path) -> None:
    """a is under 10 and 11, e under 11 and 12; d's twin has no category, which is no conflict."""
    found = copies_of(tmp_path, DOCUMENTS)
    assert found.conflicting == {1: 0, 2: 1, 3: 2}
    assert (found.conflicting_occurrences, found.conflicting_products, found.stand_ins) == (6, 5, 0)
    assert {(each.first, each.second, each.pictures, each.example.product) for each in found.pairs} == {
        (10, 11, 1, 1), (11, 12, 1, 4)
    }  # fmt: skip


def test_the_pair_with_the_most_pictures_comes_first(tmp_path: Path) -> None:
    """However often one picture occurs, it counts once; categories that the CSV lacks take part."""
    documents = [listing(n, b"x", category=10 + n % 2) for n in range(8)]
    documents += [listing(20 + n, b"p%d" % (n // 2), category=(12, 99)[n % 2]) for n in range(6)]
    found = copies_of(tmp_path, documents)
    assert [(each.first, each.second, each.pictures) for each in found.pairs] == [(12, 99, 3), (10, 11, 1)]


def test_a_stand_in_makes_no_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture under ever so many categories is counted, and says nothing of any two of them."""
    monkeypatch.setattr(copying, "STAND_IN_CATEGORIES", 3)
    documents = [listing(n, b"no photo", category=1000 + n) for n in range(4)]
    documents += [listing(10 + n, b"x", category=1000 + n) for n in range(3)]
    found = copies_of(tmp_path, documents)
    assert (found.stand_ins, found.conflicting[3]) == (1, 2)
    assert [(each.first, each.second) for each in found.pairs] == [(1000, 1001), (1000, 1002), (1001, 1002)]


def test_the_example_is_the_picture_meant(tmp_path: Path) -> None:
    """It is told by its place among those of a product that are pictures at all."""
    documents = [listing(1, None, b"a", b"b", category=10), listing(2, b"c", b"b", category=11)]
    (pair,) = copies_of(tmp_path, documents).pairs
    assert (pair.example.product, pair.example.picture) == (1, 1)


class Page(HTMLParser):
    """What a browser would load, and whether the tags match."""

    def __init__(self, text: str):
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)
        given = dict(attributes)
        self.sources += [given[name] for name in ("src", "href") if given.get(name)]
        self.ids |= {given["id"]} if "id" in given else set()
        if tag == "img":
            assert given["alt"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone(tmp_path: Path) -> None:
    """Its tags match, its links lead somewhere, and it loads nothing from anywhere."""
    look(tmp_path, DOCUMENTS, 10, 13, 99)
    read = Page(page(tmp_path))
    assert read.open == []
    assert all(each.startswith("data:image/") or each[1:] in read.ids for each in read.sources)
    assert sum(each.startswith("data:image/svg") for each in read.sources) == 5
    assert "http" not in re.sub(r'src="[^"]*"', "", page(tmp_path))


def test_the_report_tells_what_was_found(tmp_path: Path) -> None:
    """The page says it in words, the JSON in numbers."""
    look(tmp_path, DOCUMENTS)
    told = " ".join(re.sub(r"<[^>]*>", "", page(tmp_path)).split())
    assert "6 of 12 pictures (50.0%) are copies" in told
    assert "2 different pictures occur under more than one category: 6 occurrences in 5 products" in told
    assert "1 category with 1 product" in told
    assert "2 categories of the CSV without any product" in told
    assert "not in the CSV: 1 categories of the dump (99), with 1 products" in told
    assert "Maison &gt; Cuisine &gt; Poêles" in told
    read = facts(tmp_path)
    assert (read["products"], read["pictures"], read["products_without_category"]) == (8, 12, 1)
    assert (read["single_product_categories"], read["empty_categories"]) == ([12], [13, 14])
    assert read["categories_with_few_products"] == [10, 11, 12]
    assert read["unlisted_categories"] == {"99": 1}
    assert read["pictures_per_product"] == {"1": 5, "2": 2, "3": 1}
    assert (read["duplicates"]["copies"], read["duplicates"]["conflicting_products"]) == (6, 5)
    assert [each["category_id"] for each in read["sheets"]] == [10, 11, 12]


def test_two_reports_are_equal(tmp_path: Path) -> None:
    """The same dump, the same bytes; the second takes the place of the first and leaves nothing beside it."""
    look(tmp_path, DOCUMENTS)
    before = page(tmp_path), facts(tmp_path)
    (tmp_path / "out" / "mine.txt").write_text("kept")
    look(tmp_path, DOCUMENTS)
    assert before == (page(tmp_path), facts(tmp_path))
    assert {each.name for each in (tmp_path / "out").iterdir()} == {"explore.html", "explore.json", "mine.txt"}


def test_names_are_text(tmp_path: Path) -> None:
    """HTML in a name, French or English, is shown and never run."""
    evil = "<script>alert('x')</script>\"&"
    shelves = Taxonomy.from_shelves({10: (evil, evil, evil), 11: ("A", "B", evil)})
    english = tuple(Category(each.id, each.level, each.parent_id, each.name, evil) for each in shelves.categories)
    look(tmp_path, [listing(1, b"a", category=10), listing(2, b"a", category=11)], tree=Taxonomy(english))
    assert "<script" not in page(tmp_path)
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&#34;&amp;" in page(tmp_path)
    assert Page(page(tmp_path)).open == []


def test_english_names_stand_beside_the_french(tmp_path: Path) -> None:
    """Where a category has one."""
    tree = Taxonomy(tuple(Category(c.id, c.level, c.parent_id, c.name, f"E{c.id}") for c in TREE.categories))
    look(tmp_path, DOCUMENTS, tree=tree)
    assert 'Draps <span class="en" lang="en">E12</span>' in page(tmp_path)


@pytest.mark.parametrize("category", [None, 99])
def test_a_dump_without_labels_can_be_looked_at(category: int | None, tmp_path: Path) -> None:
    """test.bson has no categories: pictures are told, and the rest is said not to be there."""
    found = look(tmp_path, [listing(n, b"a", category=category) for n in range(3)])
    assert found.sheets == []
    assert "No product of this dump has a category of the tree" in page(tmp_path)
    assert facts(tmp_path)["levels"]["3"]["gini"] is None
    assert Page(page(tmp_path)).open == []


def test_a_sheet_shows_the_category(tmp_path: Path) -> None:
    """Of any level, evenly over its products; what does not decode is grey and counted."""
    pictures = [jpeg(1), b"\xff\xd8\xff not a picture", huge_png(), jpeg(2)[:3000], jpeg(3)]
    documents = [listing(n, each, category=10 + n % 2) for n, each in enumerate(pictures)]
    (sheet,) = look(tmp_path, [*documents, listing(9, category=13)], path_id("Maison")).sheets
    assert (sheet.category_id, sheet.products, sheet.shown, sheet.undecodable) == (path_id("Maison"), 5, [*range(5)], 3)
    assert "<b>3 not decodable</b>" in page(tmp_path)


def test_a_large_category_is_sampled(tmp_path: Path) -> None:
    """From the first product to the last, each once."""
    (sheet,) = look(tmp_path, [listing(n, b"x", category=10) for n in range(100)], 10).sheets
    assert (len(set(sheet.shown)), sheet.shown[0], sheet.shown[-1], sheet.products) == (24, 0, 99, 100)


def test_a_tile_is_the_picture() -> None:
    """Whole, in the middle, on white where it is clear; 16 bits of grey as well."""
    wide = decode(encode(Image.new("RGB", (200, 100), "red"), "JPEG"))
    assert wide is not None
    assert wide.size == (TILE, TILE)
    assert wide.getpixel((TILE // 2, 2)) == (255, 255, 255)
    assert wide.getpixel((TILE // 2, TILE // 2))[0] > 250
    clear = decode(encode(Image.new("RGBA", (50, 50), (255, 0, 0, 0)), "PNG"))
    assert clear is not None
    assert clear.getpixel((TILE // 2, TILE // 2)) == (255, 255, 255)
    grey = decode(encode(Image.fromarray(np.full((TILE, TILE), 30_000, np.uint16)), "PNG"))
    assert grey is not None
    assert grey.getpixel((3, 3)) == (116, 116, 116)


@pytest.mark.parametrize(
    "picture", [b"", b"x", huge_png(), jpeg(1)[:-500], encode(Image.new("RGB", (9, 9)), "GIF")], ids=range(5)
)
def test_what_is_no_sound_picture_is_no_tile(picture: bytes) -> None:
    """Nothing too large, cut or of another kind is decoded."""
    assert decode(picture) is None


def test_an_unknown_sheet_is_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(ExploreError, match="--sheet 5 is a category of neither the CSV nor the dump"):
        look(tmp_path, DOCUMENTS, 10, 5)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """One sentence with the remedy."""
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ExploreError, match="cannot be written .*: choose another --output"):
        look(tmp_path, DOCUMENTS)


def test_looking_loads_no_tensorflow() -> None:
    """A report is there before TensorFlow would be."""
    statement = "import sys, trainer.explore.explore; sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", statement]).returncode == 0


def run(folder: Path, *options: str, after: bytes = b"") -> Any:
    dump_of(folder, [*DOCUMENTS, {"_id": "x"}, DOCUMENTS[0]], after)
    rows = [f"{identity},{','.join(names)}" for identity, names in SHELVES.items()]
    (folder / "names.csv").write_text(
        "\n".join(["category_id,category_level1,category_level2,category_level3", *rows]), encoding="utf-8"
    )
    given = [
        "explore",
        str(folder / "train.bson"),
        "--categories",
        str(folder / "names.csv"),
        "-o",
        str(folder / "out"),
    ]
    return CliRunner().invoke(app, [*given, *options])


def test_the_command_tells_where_and_what(tmp_path: Path) -> None:
    """The report's path and three lines on stdout; what is amiss on stderr, a line each."""
    (tmp_path / "en.csv").write_text("category_id,level,name,name_en\n12,3,Draps,Sheets\n")
    done = run(tmp_path, "--names", str(tmp_path / "en.csv"), "--sheet", "12", "--sheet", "99")
    assert done.exit_code == 0, done.output
    path, *lines = done.stdout.splitlines()[-4:]
    assert path == str(tmp_path / "out" / "explore.html")
    assert lines[0] == "9 products, 14 pictures; 1 products without a category"
    assert lines[1].startswith("3 of 5 level-3 categories have products, 1 have only one; the fullest tenth holds")
    assert lines[2] == "8 pictures (57.1%) are copies of another; 2 different pictures are under several categories"
    assert [line for line in done.stderr.splitlines() if line.startswith("warning")] == [
        "warning: not in the CSV: 1 categories of the dump (99), with 1 products; add them to it, "
        "or these products are left out",
        "warning: left out: 1 documents, bad_id",
        "warning: repeated ids: 1 products have the id of an earlier one; each is counted",
    ]
    assert "Sheets" in page(tmp_path)
    assert [each["category_id"] for each in facts(tmp_path)["sheets"]] == [12, 99]


def test_a_damaged_dump_is_reported_on_and_told(tmp_path: Path) -> None:
    """What is sound is in the report; the exit code is 1 unless the loss is accepted."""
    done = run(tmp_path, after=b"\x40\0\0\0cut")
    assert done.exit_code == 1
    assert "is damaged at byte" in str(done.exception)
    assert "only what is before the damage was counted" in page(tmp_path)
    done = run(tmp_path, "--tolerate", after=b"\x40\0\0\0cut")
    assert done.exit_code == 0
    assert "warning: " in done.stderr
    assert "damaged at byte" in facts(tmp_path)["damage"]

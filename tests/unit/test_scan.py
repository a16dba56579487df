"""The raw reader: the same rows as the bson library would give, whatever the documents look like."""

import os
import random
from pathlib import Path
from typing import Any

import bson
import numpy as np
import pytest
from bson.int64 import Int64
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer import scan as scanning
from trainer.scan import Stretch, scan
from trainer.window import NO_CATEGORY, picture_hash
from worker.contract.product import DocumentError, Product

#: what a document of the catalog may hold, and what it should not
PICTURES = st.one_of(
    st.binary(max_size=40).map(lambda data: {"picture": data}),
    st.sampled_from([{}, {"picture": None}, {"picture": "text"}, {"picture": b"a", "other": 1}, 5]),
)
DOCUMENTS = st.builds(
    dict,
    st.permutations(
        [("_id", 1), ("category_id", 2), ("imgs", 3), ("title", 4)],
    ).flatmap(
        lambda names: st.tuples(
            *(
                {
                    "_id": st.integers(-(2**63), 2**63 - 1).map(Int64).map(lambda value: ("_id", value)),
                    "category_id": st.sampled_from([Int64(7), 7, "7", None, 2.5]).map(lambda v: ("category_id", v)),
                    "imgs": st.lists(PICTURES, max_size=12).map(lambda value: ("imgs", value)),
                    "title": st.just(("title", "naïve")),
                }[name]
                for name, _ in names
            )
        ).map(lambda entries: [each for each in entries if each[1] is not None])
    ),
)


def write(folder: Path, documents: list[dict[str, Any]], after: bytes = b"") -> Path:
    path = folder / "dump.bson"
    path.write_bytes(b"".join(map(bson.encode, documents)) + after)
    return path


def whole(path: Path) -> Stretch:
    return scan(path, 0, path.stat().st_size)


def expected(documents: list[dict[str, Any]]) -> list[tuple[int, int, list[int]]]:
    rows = []
    for document in documents:
        try:
            product = Product.from_document(bson.decode(bson.encode(document)))
        except DocumentError:
            continue
        pictures = [picture_hash(each) for each in product.pictures if each is not None]
        if pictures:
            category = NO_CATEGORY if product.category_id is None else product.category_id
            rows.append((product.id, category, pictures))
    return rows


def found(stretch: Stretch) -> list[tuple[int, int, list[int]]]:
    return [
        (row["id"], row["category"], stretch.hashes[row["first"] : row["first"] + row["pictures"]].tolist())
        for row in stretch.products
    ]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(DOCUMENTS, min_size=1, max_size=8))
def test_rows_are_those_of_the_bson_library(tmp_path: Path, documents: list[dict[str, Any]]) -> None:
    """Fields in any order, more of them, other types, no pictures: what is read in place and what is decoded agree."""
    path = write(tmp_path, documents)
    stretch = whole(path)
    assert found(stretch) == expected(documents)
    assert (stretch.end, stretch.documents, stretch.damage) == (path.stat().st_size, len(documents), None)
    assert len(stretch.products) + stretch.left_out.total() == len(documents)


def test_documents_of_the_dump_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CDiscount's shape, the category before or after the pictures or absent, never reaches the bson library."""
    pictures = [{"picture": os.urandom(50)} for _ in range(4)]
    documents = [
        {"_id": Int64(1), "imgs": pictures, "category_id": Int64(5)},
        {"_id": Int64(2), "category_id": Int64(6), "imgs": pictures[:1]},
        {"_id": Int64(3), "imgs": pictures[1:]},
    ]
    path = write(tmp_path, documents)
    monkeypatch.setattr(scanning, "bson", None)
    assert found(whole(path)) == expected(documents)


@pytest.mark.parametrize("window", [64, 200, 1000])
def test_a_window_smaller_than_a_document_will_do(window: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents that end beyond the window, or are longer than it, are read whole."""
    monkeypatch.setattr(scanning, "WINDOW_BYTES", window)
    chance = random.Random(window)
    documents = [
        {"_id": Int64(each), "imgs": [{"picture": chance.randbytes(chance.randrange(400))}]} for each in range(50)
    ]
    assert found(whole(write(tmp_path, documents))) == expected(documents)


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        (b"\x10", "the file ends within a document"),
        (b"\x40\x00\x00\x00 cut", "the file ends within a document"),
        (b"\x00\x00\x00\x00 zero", "a document of 0 bytes cannot be"),
        (b"\xff\xff\xff\x7f huge", "a document of 2,147,483,647 bytes cannot be"),
        (b"\x08\x00\x00\x00abcd", "no BSON document"),
    ],
)
def test_damage_keeps_what_is_before_it(after: bytes, problem: str, tmp_path: Path) -> None:
    """The offset is that of the first byte that is no document."""
    documents = [{"_id": Int64(each), "imgs": [{"picture": b"x"}]} for each in range(3)]
    path = write(tmp_path, documents, after)
    stretch = whole(path)
    assert found(stretch) == expected(documents)
    assert stretch.end == path.stat().st_size - len(after)
    assert stretch.documents == 3
    assert problem in str(stretch.damage)


def test_lengths_that_lie_are_damage_not_a_crash(tmp_path: Path) -> None:
    """Any single byte of a document may be wrong: nothing outside it is read as part of it, and nothing raises."""
    sound = bson.encode(
        {"_id": Int64(1), "imgs": [{"picture": b"abcdef"}, {"picture": b"gh"}], "category_id": Int64(5)}
    )
    path = tmp_path / "dump.bson"
    for place in range(len(sound)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            path.write_bytes(sound[:place] + bytes([value]) + sound[place + 1 :] + sound)
            stretch = whole(path)
            assert stretch.damage or stretch.documents == 2 or len(stretch.products) <= 2
            assert len(stretch.hashes) == stretch.products["pictures"].sum()


def test_guessing_finds_the_next_document(tmp_path: Path) -> None:
    """From within a document, the first one after it; a stretch with no beginning in it says so."""
    documents = [{"_id": Int64(each), "imgs": [{"picture": bytes(300)}]} for each in range(9)]
    path = write(tmp_path, documents)
    size = path.stat().st_size // 9
    stretch = scan(path, size * 4 - 7, 9 * size, guess=True)
    assert (stretch.start, stretch.products["id"].tolist()) == (size * 4, [4, 5, 6, 7, 8])
    assert scan(path, size * 4 + 5, size * 4 + 90, guess=True).start is None
    assert np.array_equal(scan(path, size, 2 * size).products["id"], [1])

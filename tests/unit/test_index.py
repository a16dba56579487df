"""The index of a dump: one sequential reading's result, kept and reused, and never taken for another dump's."""

import os
import random
from pathlib import Path
from typing import Any

import bson
import numpy as np
import pytest
from bson.int64 import Int64

from trainer import index as indexing
from trainer.index import DumpIndexError, Index, build, folder_of
from trainer.window import picture_hash


def document(identity: int, *pictures: bytes, category: int = 5) -> bytes:
    fields: dict[str, Any] = {"_id": Int64(identity), "imgs": [{"picture": each} for each in pictures]}
    return bson.encode({**fields, "category_id": Int64(category)})


@pytest.fixture
def dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three hundred products in stretches of a few documents each."""
    monkeypatch.setattr(indexing, "STRETCH_BYTES", 2000)
    chance = random.Random(1)
    path = tmp_path / "train.bson"
    ids = chance.sample(range(10**6), 300)
    path.write_bytes(
        b"".join(document(each, *(chance.randbytes(200) for _ in range(chance.randrange(1, 5)))) for each in ids)
    )
    return path


def test_many_processes_find_what_one_finds(dump: Path) -> None:
    """Stretches are joined at their documents' bounds, whatever the number of processes."""
    made = build(dump, processes=3)
    alone = indexing.scan(dump, 0, dump.stat().st_size)
    assert np.array_equal(made.products, alone.products)
    assert np.array_equal(made.pictures, alone.hashes)
    assert made.damage is None


def test_a_picture_that_looks_like_documents_deceives_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stretch that begins in a picture full of BSON is read again from where the one before it ended."""
    monkeypatch.setattr(indexing, "STRETCH_BYTES", 1000)
    bait = b"".join(document(each, b"bait") for each in range(100))
    path = tmp_path / "train.bson"
    path.write_bytes(document(1, bait) + document(2, b"x") + document(3, bait))
    made = build(path, processes=2)
    assert made.products["id"].tolist() == [1, 2, 3]
    assert made.pictures.tolist() == [picture_hash(each) for each in (bait, b"x", bait)]


def test_products_are_found_by_id(dump: Path) -> None:
    """In any order of the dump; an id that is not there has no row."""
    made = build(dump)
    wanted = [int(made.products["id"][place]) for place in (7, 0, 299)]
    assert made.rows([*wanted, -5, 10**9]).tolist() == [7, 0, 299, -1, -1]
    for product, row in zip(made.read([7, 0]), (7, 0), strict=True):
        assert product.id == made.products["id"][row]
        assert [picture_hash(each) for each in product.pictures if each] == made.hashes(row).tolist()


def test_an_index_is_reused_until_the_dump_changes(dump: Path) -> None:
    """Size and time of change decide; a reused index is not read again."""
    build(dump)
    before = (folder_of(dump) / "index.json").stat().st_mtime_ns
    build(dump)
    assert (folder_of(dump) / "index.json").stat().st_mtime_ns == before
    dump.write_bytes(dump.read_bytes() + document(10**7, b"new"))
    assert Index.open(dump) is None
    assert len(build(dump).products) == 301


def test_a_cut_index_is_made_anew(dump: Path) -> None:
    """What a full disk or a killed process left is not trusted."""
    build(dump)
    products = folder_of(dump) / "products.bin"
    os.truncate(products, products.stat().st_size - 8)
    assert Index.open(dump) is None
    assert len(build(dump).products) == 300


def test_damage_is_told_by_offset_and_count(dump: Path) -> None:
    """The documents before it are in the index, those after it are not."""
    content = dump.read_bytes()
    made = build(dump)
    cut = int(made.products["offset"][200])
    dump.write_bytes(content[:cut] + b"\x00" * 50 + content[cut:])
    damaged = build(dump)
    assert len(damaged.products) == 200
    assert damaged.damage is not None
    assert (damaged.damage.offset, damaged.damage.count) == (cut, 200)
    assert Index.open(dump) is not None
    assert str(build(dump).damage) == str(damaged.damage)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no dump at all"])
def test_what_is_no_dump_is_told(content: bytes, tmp_path: Path) -> None:
    """One sentence, and no index is left behind."""
    path = tmp_path / "train.bson"
    path.write_bytes(content)
    with pytest.raises(DumpIndexError, match="holds no product.*is it a dump"):
        build(path)
    assert [each.name for each in tmp_path.iterdir()] == ["train.bson"]


def test_a_dump_that_changes_under_its_index_is_noticed(dump: Path) -> None:
    """A product that is not what was indexed is an error, not another product's pictures."""
    made = build(dump)
    content = dump.read_bytes()
    dump.write_bytes(content[10:] + content[:10])
    with pytest.raises(DumpIndexError, match="has changed at byte"):
        list(made.read([3]))


def test_a_folder_that_cannot_be_written_gets_its_index_in_the_cache(
    dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data sets are often mounted read-only."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shared = tmp_path / "shared"
    shared.mkdir()
    dump = dump.rename(shared / "train.bson")
    shared.chmod(0o555)  # which the tests, as root, could write to all the same
    made = build(dump)
    shared.chmod(0o755)
    assert made.folder.parent == tmp_path / "cache" / "shelver"
    assert [each.name for each in shared.iterdir()] == ["train.bson"]
    assert len(made.products) == 300

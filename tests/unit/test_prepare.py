"""Prepared data: bit-equal for the same inputs, gone on with after a kill, and never half there."""

import csv
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import bson
import numpy as np
import pytest
from PIL import Image

from tests.pictures import encode, huge_png, jpeg, listing
from trainer import feed
from trainer.data import Data, DataError
from trainer.index import build
from trainer.pictures import PictureFault, as_served
from trainer.prepare import outline as outlining
from trainer.prepare.outline import outline
from trainer.prepare.prepare import prepare
from trainer.prepare.selection import Recipe, SelectionError

TREE = """category_id,category_level1,category_level2,category_level3
10,A,B,C
11,A,B,D
12,A,E,F
"""
RECIPE = Recipe(validation=0.2, test=0.2)


@pytest.fixture
def categories(tmp_path: Path) -> Path:
    path = tmp_path / "names.csv"
    path.write_text(TREE)
    return path


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlining, "SHARD_BYTES", 50_000)


def write(folder: Path, documents: list[dict[str, Any]]) -> Path:
    path = folder / "train.bson"
    path.write_bytes(b"".join(map(bson.encode, documents)))
    return path


def many(count: int = 60) -> list[dict[str, Any]]:
    return [
        listing(each, *(jpeg(each * 4 + n, 64) for n in range(1 + each % 3)), category=10 + each % 3)
        for each in range(count)
    ]


def files(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def test_two_preparations_are_bit_equal(tmp_path: Path, categories: Path) -> None:
    """Whatever the number of processes; another seed gives other data."""
    outlined = outline(build(write(tmp_path, many())), categories, RECIPE)
    prepare(outlined, tmp_path / "one", processes=1)
    prepare(outlined, tmp_path / "two", processes=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    other = outline(build(tmp_path / "train.bson"), categories, RECIPE.model_copy(update={"seed": 2}))
    prepare(other, tmp_path / "other")
    assert files(tmp_path / "other") != files(tmp_path / "one")


def test_every_picture_is_there_once(tmp_path: Path, categories: Path) -> None:
    """Bytes, owners and classes as in the dump; the manifest counts them."""
    documents = many()
    data = prepare(outline(build(write(tmp_path, documents)), categories, RECIPE), tmp_path / "data")
    assert len(data.splits["train"].shards) > 1
    found = {}
    for name, split in data.splits.items():
        rows = list(feed.pictures(split, ("product", "place", "picture", "class")).as_numpy_iterator())
        assert len(rows) == split.pictures
        assert len({product for product, *_ in rows}) == split.products == sum(split.counts), name
        for product, place, picture, label in rows:
            found[int(product), int(place)] = (picture, data.classes[label])
    assert found == {
        (document["_id"], place): (image["picture"], document["category_id"])
        for document in documents
        for place, image in enumerate(document["imgs"])
    }


def test_pictures_are_trained_on_as_they_are_served(tmp_path: Path, categories: Path) -> None:
    """Transparency on white and 16 bits as Pillow reads them, which the worker sends; a plain JPEG as it is."""
    documents = many()
    clear, deep = Image.new("RGBA", (64, 64), (255, 0, 0, 0)), Image.new("I;16", (64, 64), 257 * 128)
    documents[3]["imgs"] = [{"picture": encode(clear, "PNG")}]
    documents[4]["imgs"] = [{"picture": encode(deep, "PNG")}]
    data = prepare(outline(build(write(tmp_path, documents)), categories, RECIPE), tmp_path / "data")
    seen = {
        int(product): pixels
        for split in data.splits
        for batch in feed.product_batches(data, split, 64)
        for product, pixels in zip(batch.product, batch.pixels, strict=True)
    }
    assert (seen[3] == 255).all()
    assert (seen[4] == 128).all()


def test_first_pictures_alone(tmp_path: Path, categories: Path) -> None:
    """As the case study took them."""
    recipe = RECIPE.model_copy(update={"pictures": "first"})
    data = prepare(outline(build(write(tmp_path, many())), categories, recipe), tmp_path / "data")
    assert sum(split.pictures for split in data.splits.values()) == 60


def test_undecodable_pictures_are_listed_and_left_out(tmp_path: Path, categories: Path) -> None:
    """A product keeps its sound pictures; one without any is not in the data."""
    documents = many()
    documents[5]["imgs"].insert(0, {"picture": jpeg(999)[:200]})
    documents[6]["imgs"] = [{"picture": b"GIF89a"}]
    documents[7]["imgs"].append({"picture": huge_png()})
    data = prepare(outline(build(write(tmp_path, documents)), categories, RECIPE), tmp_path / "data")
    assert (data.manifest["undecodable_pictures"], data.manifest["products_without_picture"]) == (3, 1)
    with (data.folder / "undecodable.csv").open() as file:
        listed = {int(row["product_id"]): (int(row["picture"]), row["problem"]) for row in csv.DictReader(file)}
    assert {product: place for product, (place, _) in listed.items()} == {5: 0, 6: 0, 7: len(documents[7]["imgs"]) - 1}
    assert "30,000 x 30,000" in listed[7][1]
    assert sum(split.products for split in data.splits.values()) == 59


def test_a_shard_without_a_picture_that_decodes(tmp_path: Path, categories: Path) -> None:
    """A side whose every picture is damaged is empty, and no error."""
    documents = many()
    index = build(write(tmp_path, documents))
    outlined = outline(index, categories, RECIPE)
    tested = set(index.products["id"][outlined.selection.rows[outlined.sides == 2]].tolist())
    for each in tested:
        picture = documents[each]["imgs"][0]["picture"]
        documents[each]["imgs"] = [{"picture": picture[:200] + bytes([each])}]
    data = prepare(outline(build(write(tmp_path, documents)), categories, RECIPE), tmp_path / "data")
    assert data.manifest["undecodable_pictures"] == len(tested)


def test_a_class_without_a_picture_to_train_on_is_told(tmp_path: Path, categories: Path) -> None:
    """By name, with the remedy, which works; nothing is left behind."""
    documents = many()
    for document in documents[2::3]:
        document["imgs"] = [{"picture": b"broken%d" % document["_id"]}]
    index = build(write(tmp_path, documents))
    with pytest.raises(SelectionError, match=r"12 \(F\); leave them out with --without 12"):
        prepare(outline(index, categories, RECIPE), tmp_path / "data")
    assert not list(tmp_path.glob("data*"))
    recipe = RECIPE.model_copy(update={"without": (12,)})
    assert prepare(outline(index, categories, recipe), tmp_path / "data").classes == [10, 11]


UNLIMITED = """
import resource, sys
from pathlib import Path
from trainer.index import build
from trainer.prepare import outline as outlining
from trainer.prepare.prepare import prepare
from trainer.prepare.selection import Recipe
from trainer.prepare.shards import ShardError
dump, categories, output = map(Path, sys.argv[1:])
index = build(dump, processes=1)
outlining.SHARD_BYTES = 50_000
outlined = outlining.outline(index, categories, Recipe(validation=0.2, test=0.2))
try:
    prepare(outlined, output, processes=1)
except ShardError as error:
    print(error)
"""


def test_a_killed_preparation_goes_on(tmp_path: Path, categories: Path) -> None:
    """Whole shards are kept, others written anew, and the result is that of an undisturbed one."""
    dump = write(tmp_path, many(600))
    draft = tmp_path / "data.part"
    process = subprocess.Popen([sys.executable, "-c", UNLIMITED, dump, categories, tmp_path / "data"])
    while len(list(draft.glob("*.done"))) < 2:
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()
    kept = {each: each.stat().st_mtime_ns for each in draft.glob("*.done")}
    (draft / f"{next(iter(kept)).stem}.part").write_bytes(b"half")
    outlined = outline(build(dump), categories, RECIPE)
    plans = list(outlining.plans(outlined, draft))
    assert 2 <= len(kept) < len(plans)
    shards = {each.with_suffix(".tfrecord").name: at for each, at in kept.items()}
    prepare(outlined, tmp_path / "data")
    assert all((tmp_path / "data" / name).stat().st_mtime_ns <= at for name, at in shards.items())
    prepare(outlined, tmp_path / "whole")
    assert files(tmp_path / "whole") == files(tmp_path / "data")


def test_a_draft_of_something_else_is_left_alone(tmp_path: Path, categories: Path) -> None:
    """Neither finished data nor another preparation's draft is overwritten."""
    index = build(write(tmp_path, many()))
    outlined = outline(index, categories, RECIPE)
    (tmp_path / "data").mkdir()
    with pytest.raises(SelectionError, match="exists: choose another --output"):
        prepare(outlined, tmp_path / "data")
    (tmp_path / "other.part").mkdir()
    (tmp_path / "other.part" / "precious").touch()
    with pytest.raises(SelectionError, match="holds another unfinished preparation"):
        prepare(outlined, tmp_path / "other")
    assert (tmp_path / "other.part" / "precious").exists()


#: the index is written before; a shard is longer than this
LIMITED = UNLIMITED.replace("try:", "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\ntry:")


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, categories: Path) -> None:
    """One sentence with the remedy; after it the same call finishes the work."""
    dump = write(tmp_path, many())
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, dump, categories, tmp_path / "data"], capture_output=True, text=True, check=True
    )
    assert "cannot be written (File too large): free some room and run the same command again" in done.stdout
    assert not (tmp_path / "data").exists()
    assert not list((tmp_path / "data.part").glob("*.part"))
    outlined = outline(build(dump), categories, RECIPE)
    assert prepare(outlined, tmp_path / "data").splits["train"].products


def test_data_that_is_cut_is_not_opened(tmp_path: Path, categories: Path) -> None:
    """A copy that stopped half-way is told by shard."""
    data = prepare(outline(build(write(tmp_path, many())), categories, RECIPE), tmp_path / "data")
    shard = data.splits["train"].shards[1]
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DataError, match=f"{shard.name} is cut.*make it with shelver-trainer prepare"):
        Data.open(data.folder)
    with pytest.raises(DataError, match="is no prepared data"):
        Data.open(tmp_path)


@pytest.mark.parametrize(
    ("picture", "fault"),
    [
        (jpeg(1), None),
        (encode(Image.new("L", (9, 9)), "PNG"), None),
        (b"", "does not decode"),
        (jpeg(1)[:-200], "does not decode"),
        (encode(Image.new("RGB", (9, 9)), "GIF"), "does not decode"),
        (huge_png(), "claims 30,000 x 30,000 pixels"),
    ],
    ids=["jpeg", "png", "empty", "truncated", "gif", "huge"],
)
def test_pictures_are_checked(picture: bytes, fault: str | None) -> None:
    """What the worker would not take is not trained on."""
    if fault is None:
        assert as_served(picture)
        return
    with pytest.raises(PictureFault, match=fault):
        as_served(picture)


def test_batches_hold_whole_products(tmp_path: Path, categories: Path) -> None:
    """No product is cut in two, and labels are those of its class."""
    documents = many()
    data = prepare(outline(build(write(tmp_path, documents)), categories, RECIPE), tmp_path / "data")
    batches = list(feed.product_batches(data, "train", 64, size=7))
    seen = [set(batch.product.tolist()) for batch in batches]
    assert sum(map(len, seen)) == len(set().union(*seen)) == data.splits["train"].products
    assert sum(len(batch.picture) for batch in batches) == data.splits["train"].pictures
    for batch in batches:
        for product, label in zip(batch.product.tolist(), batch.label.tolist(), strict=True):
            assert data.classes[label] == documents[product]["category_id"]


def test_training_order_follows_seed_and_epoch(tmp_path: Path, categories: Path) -> None:
    """The same for the same, another for another epoch; a resumed epoch goes on where it was; shares are apart."""
    data = prepare(outline(build(write(tmp_path, many())), categories, RECIPE), tmp_path / "data")

    def order(*arguments: Any) -> list[int]:
        return [int(np.sum(pixels)) for pixels, _ in feed.training(data, 64, *arguments).as_numpy_iterator()]

    first = order(1, 0)
    assert first == order(1, 0)
    assert sorted(first) == sorted(order(1, 1)) != first
    assert order(1, 0, feed.Share(), 10) == first[10:]
    assert [order(1, 0, feed.Share(2, index)) for index in range(2)] == [first[::2], first[1::2]]

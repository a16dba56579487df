"""A dump comes into the catalog: as the bytes it is, all of it, and what cannot is told."""

import gzip
import threading
from contextlib import closing
from pathlib import Path

import bson
import pytest
import zstandard
from bson.int64 import Int64
from sqlalchemy import select

from producer.dumps.insertion import insert, raw
from producer.dumps.load import Load
from producer.dumps.loaded import Loaded
from producer.dumps.portion import Portion, is_sampled
from producer.listings import open_listings
from tests.integration.producer.conftest import Listings
from tests.pictures import listing
from worker.contract.database import Database
from worker.contract.dump import DumpError
from worker.contract.errors import Unavailable
from worker.contract.settings import Settings
from worker.contract.tables import cursors

DOCUMENTS = [bson.encode(listing(each, bytes(40 * each))) for each in range(1, 11)]
PACKS = {"plain": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return write(tmp_path, *DOCUMENTS)


def write(folder: Path, *documents: bytes) -> Path:
    path = folder / "dump.bson"
    path.write_bytes(b"".join(documents))
    return path


def load(settings: Settings, portion: Portion | Path) -> tuple[Loaded, DumpError | None]:
    portion = Portion(portion) if isinstance(portion, Path) else portion
    with open_listings(settings) as target, closing(Load(target, settings, portion, threading.Event())) as loading:
        loading.begin()
        assert loading.run()
    return loading.loaded, loading.damage


def in_catalog(listings: Listings) -> set[object]:
    return {each["_id"] for each in listings.find({}, ["_id"])}


def test_documents_are_restored_as_the_bytes_they_are(settings: Settings, listings: Listings, dump: Path) -> None:
    """Int64 ids and all; repeating it changes nothing, also over documents that changed meanwhile."""
    first, _ = load(settings, dump)
    listings.update_one({"_id": 3}, {"$set": {"imgs": []}})
    again, _ = load(settings, dump)
    assert (first.inserted, first.already_there) == (10, 0)
    assert (again.inserted, again.already_there) == (0, 10)
    stored = listings.find_one({"_id": 7})
    assert isinstance(stored["_id"], Int64)
    assert stored == bson.decode(DOCUMENTS[6])
    assert listings.find_one({"_id": 3})["imgs"] == []


@pytest.mark.parametrize("name", PACKS)
def test_a_dump_may_be_compressed(settings: Settings, listings: Listings, tmp_path: Path, name: str) -> None:
    """Whatever its name; the bar is told bytes of the file, and ends at its end."""
    dump = write(tmp_path, PACKS[name](b"".join(DOCUMENTS)))
    places: list[int] = []
    with open_listings(settings) as target, closing(Load(target, settings, Portion(dump), threading.Event())) as work:
        work.begin()
        assert work.run(places.append)
    assert in_catalog(listings) == set(range(1, 11))
    assert places[-1] == dump.stat().st_size


def test_what_stands_before_damage_is_used(settings: Settings, listings: Listings, dump: Path) -> None:
    """The offset and the count are told; nothing sound is lost."""
    eight = sum(map(len, DOCUMENTS[:8]))
    dump.write_bytes(dump.read_bytes()[: eight + 100])
    loaded, damage = load(settings, dump)
    assert loaded.inserted == listings.count_documents({}) == 8
    assert (damage.offset, damage.count) == (eight, 8)
    assert f"damaged at byte {eight:,}, after 8 sound documents" in str(damage)


def nested(levels: int) -> bytes:
    """A document that is BSON, and deeper than the 200 levels that MongoDB takes."""
    inner: dict[str, object] = {}
    for _ in range(levels):
        inner = {"a": inner}
    return bson.encode({"_id": "deep", **inner})


REFUSED = {
    "an _id that is none": bson.encode({"_id": [1, 2]}),
    "too deep, for which MongoDB refuses the whole message": nested(250),
    "too large": bson.encode({"_id": 1, "x": bytes(16 * 2**20)}),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_mongodb_refuses_takes_nothing_with_it(
    settings: Settings, listings: Listings, tmp_path: Path, kind: str
) -> None:
    """It is told by its offset, and the rest is loaded."""
    before, after = DOCUMENTS[:5], DOCUMENTS[5:]
    loaded, damage = load(settings, write(tmp_path, *before, REFUSED[kind], *after, bson.encode({"imgs": []})))
    assert (loaded.inserted, loaded.refused, loaded.without_id, damage) == (10, 1, 1, None)
    assert in_catalog(listings) == set(range(1, 11))
    assert f"refuses the document at byte {sum(map(len, before)):,} of the dump" in str(loaded.problem)
    assert "--tolerate" in str(loaded.problem)


def test_another_unique_index_is_no_sign_of_a_document_that_is_there(
    settings: Settings, listings: Listings, tmp_path: Path
) -> None:
    """Of two listings with one article number, the second is not in the catalog, and that is told."""
    listings.create_index("number", unique=True)
    dump = write(tmp_path, *(bson.encode({"_id": each, "number": 7}) for each in (1, 2)))
    loaded, _ = load(settings, dump)
    assert (loaded.inserted, loaded.already_there, loaded.refused) == (1, 0, 1)
    assert "duplicate key" in str(loaded.problem)


def test_what_mongodb_does_not_keep_is_not_counted(settings: Settings, listings: Listings, dump: Path) -> None:
    """A replica set that cannot keep it as SHELVER_MONGO_URL demands counts as away: nothing is passed over."""
    demanding = settings.model_copy(update={"mongo_url": f"{settings.mongo_url}?w=2&wtimeoutMS=100"})
    with pytest.raises(Unavailable, match="SHELVER_MONGO_URL.*Not enough data-bearing nodes"):
        load(demanding, dump)
    with (
        open_listings(demanding) as target,
        pytest.raises(Unavailable, match="MongoDB does not keep what it is given .*Not enough data-bearing nodes"),
    ):
        insert(raw(target), [(0, DOCUMENTS[0])])
    assert load(settings, dump)[0].count == 10


def test_a_limit_is_of_the_first_documents(settings: Settings, listings: Listings, dump: Path) -> None:
    """With a sample, it is a share of these; none is read that was not asked for."""
    dump.write_bytes(dump.read_bytes()[:-10])
    loaded, damage = load(settings, Portion(dump, limit=9))
    assert (loaded.inserted, damage) == (9, None)
    assert in_catalog(listings) == set(range(1, 10))


def test_a_sample_is_the_same_every_time(settings: Settings, listings: Listings, tmp_path: Path) -> None:
    """By _id, as an int or an Int64; what is in a small sample is in a larger one; the share is what was asked for."""
    dump = write(tmp_path, *(bson.encode({"_id": Int64(each)}) for each in range(2000)))
    found = {}
    for share in (0.02, 0.1, 0.5):
        load(settings, Portion(dump, sample=share))
        found[share] = in_catalog(listings)
        assert found[share] == {each for each in range(2000) if is_sampled(each, share)}
        listings.drop()
    assert found[0.02] < found[0.1] < found[0.5]
    assert 140 < len(found[0.1]) < 260


def test_a_load_that_is_done_is_forgotten(settings: Settings, listings: Listings, dump: Path) -> None:
    """The next one looks at every document again."""
    load(settings, dump)
    listings.delete_one({"_id": 5})
    assert load(settings, dump)[0].inserted == 1
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        assert connection.execute(select(cursors)).all() == []


def test_a_store_without_tables_is_told_with_the_remedy(settings: Settings, listings: Listings, dump: Path) -> None:
    """The place is kept there; one command makes it."""
    bare = settings.model_copy(update={"database_url": f"sqlite:///{dump.parent / 'bare.db'}"})
    with pytest.raises(Unavailable, match="run shelver-worker migrate"):
        load(bare, dump)

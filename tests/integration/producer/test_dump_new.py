"""What was listed since becomes a dump that the trainer reads, whole or not at all."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.int64 import Int64
from bson.objectid import ObjectId

from producer.dumps.new_dump import LeftOut, NewDump
from producer.dumps.partial import Partial, PartialError
from producer.listings import ListingsError, open_listings
from producer.selection import Selection
from tests.conftest import command
from tests.integration.producer.conftest import Listings
from tests.pictures import listing
from trainer.index import build
from worker.contract.database import Database
from worker.contract.dump import read
from worker.contract.settings import Settings
from worker.contract.tables import categories, verdicts

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def decide(settings: Settings, decisions: dict[int, int]) -> None:
    """Store verdicts."""
    nodes = [{"id": each, "level": 3, "name": f"C{each}"} for each in sorted(set(decisions.values()))]
    rows = [
        {"product_id": product, "category_id": category, "reviewer": "me", "decided_at": NOON}
        for product, category in decisions.items()
    ]
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        connection.execute(categories.insert(), nodes)
        connection.execute(verdicts.insert(), rows)


def dump_new(settings: Settings, path: Path, wanted: Selection = Selection()) -> NewDump:
    with open_listings(settings) as source, closing(NewDump(source, settings, wanted)) as new:
        with Partial(path, new.name, force=False) as part:
            for found in new.documents(part.last):
                if isinstance(found, bytes):
                    part.write(found)
            part.finish()
        return new


def ids(path: Path) -> list[Any]:
    return [record.document["_id"] for record in read(path)]


def test_the_trainer_reads_it(settings: Settings, listings: Listings, tmp_path: Path) -> None:
    """Int64 ids in ascending order, pictures as they are, and the category that a person decided on."""
    decide(settings, {2: 77, 3: 10, 1003: 77})
    listings.insert_many([listing(each, b"%d" % each, b"x", category=10) for each in (1003, 1, *range(3, 1003), 2)])
    new = dump_new(settings, tmp_path / "new.bson")
    assert (new.products, new.corrected, dict(new.left_out)) == (1003, 2, {})
    records = list(read(tmp_path / "new.bson"))
    assert [record.document["_id"] for record in records] == list(range(1, 1004))
    assert records[1].raw == bson.encode(listing(2, b"2", b"x", category=77))
    index = build(tmp_path / "new.bson", processes=1)
    assert index.damage is None
    assert index.products["id"].tolist() == list(range(1, 1004))
    assert index.products["category"][[0, 1, 2, 1002]].tolist() == [10, 77, 10, 77]
    assert next(iter(index.read([1002]))).pictures == (b"1003", b"x")
    assert [each.name for each in tmp_path.glob("new*.part")] == []


def test_the_catalog_may_call_its_fields_otherwise(settings: Settings, listings: Listings, tmp_path: Path) -> None:
    """The dump has the trainer's names; an id elsewhere than in _id must be indexed."""
    other = settings.model_copy(
        update={"mongo_id_field": "article.number", "mongo_picture_path": "photos", "mongo_filter": '{"live": true}'}
    )
    for each in (5, 4, 3):
        listings.insert_one({"article": {"number": each}, "photos": [b"a"], "category_id": 1, "live": each != 4})
    with pytest.raises(ListingsError, match="no index by article.number .SHELVER_MONGO_ID_FIELD"):
        dump_new(other, tmp_path / "new.bson")
    listings.create_index("article.number")
    dump_new(other, tmp_path / "new.bson")
    expected = [{"_id": each, "category_id": 1, "imgs": [{"picture": b"a"}]} for each in (3, 5)]
    assert [record.document for record in read(tmp_path / "new.bson")] == expected
    assert {type(record.document["_id"]) for record in read(tmp_path / "new.bson")} == {Int64}


def test_since_and_until_go_by_the_order_field(settings: Settings, listings: Listings, tmp_path: Path) -> None:
    """Since is included and until is not; a moment without a zone is UTC; ids may narrow it down."""
    dated = settings.model_copy(update={"mongo_order_field": "listed"})
    listings.insert_many(
        [{**listing(each, category=1), "listed": NOON + timedelta(hours=10 - each)} for each in range(10)]
    )
    with pytest.raises(ListingsError, match="no index by listed .SHELVER_MONGO_ORDER_FIELD"):
        dump_new(dated, tmp_path / "a", Selection(since=NOON))
    listings.create_index("listed")
    dump_new(dated, tmp_path / "a", Selection(since=datetime(2026, 11, 1, 14), until=NOON + timedelta(hours=6)))
    assert ids(tmp_path / "a") == [5, 6, 7, 8]
    east = timezone(timedelta(hours=2))
    dump_new(dated, tmp_path / "b", Selection(since=datetime(2026, 11, 1, 18, tzinfo=east), first=3, last=4))
    assert ids(tmp_path / "b") == [3, 4]


def test_ids_that_hold_their_time_will_do(settings: Settings, listings: Listings, tmp_path: Path) -> None:
    """ObjectIds, to the second."""
    other = settings.model_copy(update={"mongo_id_field": "number"})
    listings.create_index("number")
    for each in range(5):
        listings.insert_one(
            {
                **listing(each, category=1),
                "_id": ObjectId.from_datetime(NOON + timedelta(seconds=each)),
                "number": each,
            }
        )
    dump_new(other, tmp_path / "a", Selection(since=NOON + timedelta(seconds=1), until=NOON + timedelta(seconds=3)))
    assert ids(tmp_path / "a") == [1, 2]
    dump_new(
        other, tmp_path / "b", Selection(since=datetime(1, 1, 1, tzinfo=UTC), until=datetime(9999, 1, 1, tzinfo=UTC))
    )
    assert ids(tmp_path / "b") == [0, 1, 2, 3, 4]


def test_a_field_without_dates_is_told_by_its_setting(settings: Settings, listings: Listings, tmp_path: Path) -> None:
    """And so is a time that nothing can be in; no file is begun."""
    listings.insert_one(listing(1, category=1))
    with pytest.raises(ListingsError, match="has no date in _id.*SHELVER_MONGO_ORDER_FIELD"):
        dump_new(settings, tmp_path / "new.bson", Selection(since=NOON))
    with pytest.raises(ListingsError, match="the first is later"):
        dump_new(settings, tmp_path / "new.bson", Selection(since=NOON, until=NOON))
    assert list(tmp_path.glob("new*")) == []


def test_what_cannot_be_trained_on_is_told_by_kind(settings: Settings, listings: Listings, tmp_path: Path) -> None:
    """A verdict is a category; a picture that is none does not cost the others."""
    decide(settings, {1: 7})
    listings.insert_many(
        [
            listing(1),
            listing(2),
            {"_id": 3, "category_id": 1},
            {"_id": 4, "category_id": 1, "imgs": [{"picture": "text"}]},
            {"_id": 5, "category_id": 1, "imgs": [{"picture": "text"}, {"picture": b"a"}]},
            {**listing(6), "category_id": "shoes"},
            {**listing(7, category=1), "_id": "seven"},
            {**listing(8, category=1), "_id": 8.5},
        ]
    )
    new = dump_new(settings, tmp_path / "new.bson")
    assert ids(tmp_path / "new.bson") == [1, 5]
    assert new.left_out == {LeftOut.NO_CATEGORY: 2, LeftOut.NO_PICTURES: 2, LeftOut.BAD_ID: 2}


def test_a_document_that_no_reader_takes_is_not_written(settings: Settings, listings: Listings, tmp_path: Path) -> None:
    """10 MB of a catalog that lists bytes are over 16 MB as the trainer has them."""
    other = settings.model_copy(update={"mongo_picture_path": "photos"})
    listings.insert_one({"_id": 1, "category_id": 1, "photos": [b""] * 800_000})
    new = dump_new(other, tmp_path / "new.bson")
    assert (new.products, new.left_out) == (0, {LeftOut.TOO_LARGE: 1})


def test_nothing_is_overwritten(settings: Settings, listings: Listings, tmp_path: Path) -> None:
    """Neither a file that is there nor, in the end, one that came meanwhile; --force says otherwise."""
    path = tmp_path / "new.bson"
    with Partial(path, "a", force=False) as part:
        path.write_bytes(b"mine")
        with pytest.raises(PartialError, match="is there already: name another file, or overwrite it with --force"):
            part.finish()
    with pytest.raises(PartialError, match="is there already"):
        dump_new(settings, path)
    assert path.read_bytes() == b"mine"
    with Partial(path, "a", force=True) as part:
        part.finish()
    assert path.read_bytes() == b""
    with pytest.raises(PartialError, match="is a folder"):
        Partial(tmp_path, "a", force=True)
    with pytest.raises(PartialError, match="nowhere.*No such file or directory"):
        Partial(tmp_path / "nowhere" / "new.bson", "a", force=True)


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    """The second one is told."""
    with Partial(tmp_path / "new.bson", "a", force=False) as part:
        with pytest.raises(PartialError, match="is being written by another process"):
            Partial(tmp_path / "new.bson", "a", force=False)
        assert part.part.exists()
    assert not part.part.exists(), "a file with nothing in it is left"


@pytest.mark.parametrize("torn", [b"", b"\0", b"\0" * 5000, bson.encode(listing(3))[:-1], bson.encode({"no": "id"})])
def test_what_stands_after_the_last_whole_document_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    """Half a document of a killed process, or the zeros of a power cut."""
    whole = b"".join(bson.encode(listing(each)) for each in (1, 2))
    (tmp_path / "new.bson.a.part").write_bytes(whole + torn)
    with Partial(tmp_path / "new.bson", "a", force=False) as part:
        assert (part.count, part.last) == (2, 2)
        part.write(bson.encode(listing(4)))
        part.finish()
    assert ids(tmp_path / "new.bson") == [1, 2, 4]


def run(settings: Settings, *arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **settings.environment()}
    whole = [*command("shelver-producer"), "dump-new", *map(str, arguments)]
    return subprocess.run(whole, env=environment, capture_output=True, text=True, timeout=60, **options)


def fill(listings: Listings, identities: Iterable[int]) -> None:
    listings.insert_many([listing(each, os.urandom(8000), category=1) for each in identities])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_goes_on(settings: Settings, listings: Listings, tmp_path: Path, number: int) -> None:
    """The end is the dump of an undisturbed run; what has no integer id is told by the last run, too."""
    fill(listings, range(8000))
    listings.insert_many([{"_id": "text"}, {"_id": None}])
    environment = {**os.environ, **settings.environment()}
    path = tmp_path / "new.bson"
    whole = [*command("shelver-producer"), "dump-new", str(path)]
    with subprocess.Popen(whole, env=environment, stdout=subprocess.PIPE, text=True) as process:
        while not (parts := list(tmp_path.glob("new.bson.*.part"))) or parts[0].stat().st_size < 2**20:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(number)
        said = process.communicate()[0]
    assert not path.exists()
    if number == signal.SIGTERM:
        assert process.returncode == 130
        assert "stopped; the same command goes on there" in said
    other = run(settings, path, "--from", "7990")
    assert "10 products written" in other.stdout, "another selection goes on with this one's file"
    path.unlink()
    done = run(settings, path)
    assert done.returncode == 0, done.stderr
    assert "going on after id " in done.stdout
    assert f"8,000 products written to {path}" in done.stdout
    assert "left out: 2 without an integer id" in done.stdout
    dump_new(settings, tmp_path / "undisturbed.bson")
    assert path.read_bytes() == (tmp_path / "undisturbed.bson").read_bytes()


def test_a_full_disk_is_told_and_gone_on_from(settings: Settings, listings: Listings, tmp_path: Path) -> None:
    """One error with the remedy; what was written stays."""
    fill(listings, range(500))
    path = tmp_path / "new.bson"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    full = run(settings, path, preexec_fn=limit)
    assert full.returncode == 1
    assert "File too large; make room and run the same command again: it goes on where it was" in full.stderr
    assert "Traceback" not in full.stderr
    assert not path.exists()
    done = run(settings, path)
    assert "going on after id 128: 129 products are in " in done.stdout, done.stdout + done.stderr
    assert ids(path) == list(range(500))


def test_a_dry_run_counts_by_kind(settings: Settings, listings: Listings, tmp_path: Path) -> None:
    """And writes nothing; a date that is none is told with an example."""
    decide(settings, {1: 5})
    listings.insert_many([listing(1), listing(2, category=3), listing(3)])
    done = run(settings, tmp_path / "new.bson", "--dry-run")
    assert done.stdout == (
        "2 products would be written, 1 with a category that a verdict corrected\n"
        "left out: 1 without category or verdict\n"
    )
    assert list(tmp_path.glob("new*")) == []
    wrong = run(settings, tmp_path / "new.bson", "--since", "yesterday")
    assert wrong.returncode == 2
    assert "write 2026-11-01" in wrong.stderr

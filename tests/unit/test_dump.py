"""The dump reader: every whole document before damage, then where and what the damage is."""

import struct
from datetime import UTC, datetime
from pathlib import Path

import bson
import pytest
from bson.datetime_ms import DatetimeMS
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pictures import listing
from worker.contract.dump import MAX_DOCUMENT_BYTES, DumpError, Record, read
from worker.contract.product import Product

DOCUMENTS = [bson.encode(listing(identity, b"\xff\xd8\xff" * identity, category=5)) for identity in (1, 2, 3)]
SOUND = b"".join(DOCUMENTS)


def read_all(path: Path) -> tuple[list[Record], DumpError | None]:
    records: list[Record] = []
    try:
        for record in read(path):
            records.append(record)
    except DumpError as error:
        return records, error
    return records, None


def read_bytes(folder: Path, content: bytes) -> tuple[list[Record], DumpError | None]:
    path = folder / "test.bson"
    path.write_bytes(content)
    return read_all(path)


def test_documents_come_in_order_with_their_place(tmp_path: Path) -> None:
    """Each record is its bytes, where they stand and what they say."""
    records, damage = read_bytes(tmp_path, SOUND)
    assert damage is None
    assert [record.raw for record in records] == DOCUMENTS
    assert [record.offset for record in records] == [0, len(DOCUMENTS[0]), len(DOCUMENTS[0]) + len(DOCUMENTS[1])]
    assert [Product.from_document(record.document).id for record in records] == [1, 2, 3]


def test_an_empty_file_is_an_empty_dump(tmp_path: Path) -> None:
    """No documents, no damage."""
    assert read_bytes(tmp_path, b"") == ([], None)


@pytest.mark.parametrize("left", range(1, len(DOCUMENTS[2])))
def test_a_cut_anywhere_in_the_last_document_is_told(left: int, tmp_path: Path) -> None:
    """Documents before the cut come out; the error tells their number and the byte at which the next began."""
    begin = len(SOUND) - len(DOCUMENTS[2])
    records, damage = read_bytes(tmp_path, SOUND[: begin + left])
    assert len(records) == 2
    assert damage is not None
    assert (damage.count, damage.offset) == (2, begin)
    assert f"damaged at byte {begin:,}, after 2 sound documents: the file ends within a document" in str(damage)


def test_the_error_says_what_to_do(tmp_path: Path) -> None:
    """The file is named, and both ways out are."""
    _, damage = read_bytes(tmp_path, SOUND[:-1])
    assert str(tmp_path / "test.bson") in str(damage)
    assert "fetch the file again" in str(damage)
    assert "--tolerate" in str(damage)


def test_large_numbers_can_be_read(tmp_path: Path) -> None:
    """Offsets and counts have thousands separators."""
    document = bson.encode({"_id": 1})
    _, damage = read_bytes(tmp_path, document * 1200 + b"\0")
    assert f"byte {1200 * len(document):,}, after 1,200 sound documents" in str(damage)


@pytest.mark.parametrize(
    ("garbage", "told"),
    [
        (b"PK\x03\x04 a zip file, not a dump", "document of 67,324,752 bytes cannot be"),
        (b'{"_id": 1, "imgs": []}', "bytes cannot be"),
        (b"\0\0\0\0", "document of 0 bytes cannot be"),
        (struct.pack("<i", 4), "document of 4 bytes cannot be"),
        (struct.pack("<i", -5) + b"\0" * 20, "document of -5 bytes cannot be"),
        (struct.pack("<i", -(2**31)), "document of -2,147,483,648 bytes cannot be"),
        (struct.pack("<i", 2**31 - 1) + b"\0" * 20, "document of 2,147,483,647 bytes cannot be"),
        (struct.pack("<i", MAX_DOCUMENT_BYTES + 1), "bytes cannot be"),
        (struct.pack("<i", MAX_DOCUMENT_BYTES), "ends within a document"),
        (b"\x05", "ends within a document"),
        (b"\x05\0\0", "ends within a document"),
        (struct.pack("<i", 5) + b"\x01", "no BSON document"),
        (struct.pack("<i", 12) + b"\xff" * 8, "no BSON document"),
        (struct.pack("<i", 20) + b"\x02a\0" + struct.pack("<i", 10**9) + b"\0" * 9, "no BSON document"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("before", [0, 3])
def test_garbage_is_told(garbage: bytes, told: str, before: int, tmp_path: Path) -> None:
    """What is no document is refused by its place, at the start or after sound documents, without reading on."""
    sound = b"".join(DOCUMENTS[:before])
    records, damage = read_bytes(tmp_path, sound + garbage)
    assert damage is not None
    assert (len(records), damage.count, damage.offset) == (before, before, len(sound))
    assert told in str(damage)


@pytest.mark.parametrize("field", ["name", "n\xe9"])
def test_another_encoding_does_not_cost_the_product(field: str, tmp_path: Path) -> None:
    """A name, or a field's own name, in Latin-1 is replaced; pictures and the documents behind it are read."""
    legacy = bson.encode({"_id": 9, field: "caf\xe9", "imgs": [{"picture": b"\xc3\xa9"}]})
    text, other = b"caf\xc3\xa9\0", field.encode()
    damaged = legacy.replace(text, b"caf\xe9\xe9\0").replace(other, other.replace(b"\xc3\xa9", b"\xe9\xe9"))
    assert damaged != legacy
    records, damage = read_bytes(tmp_path, damaged + DOCUMENTS[0])
    assert damage is None
    assert [Product.from_document(record.document).id for record in records] == [9, 1]
    assert Product.from_document(records[0].document).pictures == (b"\xc3\xa9",)


def test_a_date_out_of_pythons_range_does_not_cost_the_product(tmp_path: Path) -> None:
    """MongoDB keeps dates of any year; one beyond 9999 is no damage, and the rest of the dump is read."""
    document = bson.encode({"_id": 9, "until": DatetimeMS(2**60), "imgs": [{"picture": b"x"}]})
    records, damage = read_bytes(tmp_path, document + DOCUMENTS[0])
    assert damage is None
    assert [record.document["_id"] for record in records] == [9, 1]


def test_a_usual_date_is_a_date(tmp_path: Path) -> None:
    """Dates that Python knows are read as such."""
    document = bson.encode({"_id": 9, "listed": datetime(2020, 1, 2, tzinfo=UTC)})
    records, _ = read_bytes(tmp_path, document)
    assert records[0].document["listed"].year == 2020


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    """A wrong path is not taken for a damaged dump."""
    with pytest.raises(FileNotFoundError):
        list(read(tmp_path / "nowhere.bson"))


CHUNKS = st.one_of(
    st.sampled_from(DOCUMENTS),
    st.binary(max_size=30),
    st.integers(-(2**31), 2**31 - 1).map(lambda n: struct.pack("<i", n)),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(CHUNKS, max_size=6).map(b"".join))
def test_any_bytes_are_documents_up_to_the_damage(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """No bytes raise anything but DumpError, and what was read covers the file without a gap up to there."""
    records, damage = read_bytes(tmp_path_factory.getbasetemp(), content)
    read_until = len(content) if damage is None else damage.offset
    assert b"".join(record.raw for record in records) == content[:read_until]
    assert damage is None or damage.count == len(records)


@settings(deadline=None, max_examples=300)
@given(st.integers(4, len(SOUND) - 1), st.integers(0, 255))
def test_one_wrong_byte_never_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    """A flipped byte is read as another value or told as damage; documents before it are always given out."""
    content = SOUND[:place] + bytes([value]) + SOUND[place + 1 :]
    records, damage = read_bytes(tmp_path_factory.getbasetemp(), content)
    untouched = sum(1 for end in (len(DOCUMENTS[0]), len(DOCUMENTS[0]) + len(DOCUMENTS[1])) if end <= place)
    assert [record.raw for record in records[:untouched]] == DOCUMENTS[:untouched]
    assert damage is None or damage.offset >= sum(map(len, DOCUMENTS[:untouched]))

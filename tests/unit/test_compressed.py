"""The dump reader on gzip and zstd: the same documents, the same damage, and no more memory."""

import gzip
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bson
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pictures import listing
from worker.contract.dump import DumpError, Record, read
from worker.contract.errors import ShelverError

Pack = Callable[[bytes], bytes]

DOCUMENTS = [bson.encode(listing(each, bytes([each]) * 3000 + b"\xff\xd8" * each)) for each in range(1, 41)]
PLAIN = b"".join(DOCUMENTS)
PACKS: dict[str, Pack] = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}
COMPRESSED = {name: pack(PLAIN) for name, pack in PACKS.items() if name != "plain"}
MEGABYTE = 2**20


@pytest.fixture(params=PACKS)
def pack(request: pytest.FixtureRequest) -> Pack:
    return PACKS[request.param]


def read_all(path: Path, *where: int) -> tuple[list[Record], DumpError | None]:
    records: list[Record] = []
    try:
        for record in read(path, *where):
            records.append(record)
    except DumpError as error:
        return records, error
    return records, None


def read_bytes(folder: Path, content: bytes) -> tuple[list[Record], DumpError | None]:
    path = folder / "some.bson"
    path.write_bytes(content)
    return read_all(path)


def is_told(records: list[Record], damage: DumpError | None) -> bool:
    """Whether the records have no gap, and the damage begins where they end."""
    ends = list(itertools.accumulate(len(record.raw) for record in records))
    begins = [record.offset for record in records] == [0, *ends[:-1]][: len(records)]
    return begins and (damage is None or (damage.offset, damage.count) == ([0, *ends][-1], len(records)))


def test_a_dump_is_told_by_its_content(tmp_path: Path, pack: Pack) -> None:
    """Whatever the file is called; offsets are those of the plain dump."""
    records, damage = read_bytes(tmp_path, pack(PLAIN))
    assert damage is None
    assert [record.raw for record in records] == DOCUMENTS
    assert is_told(records, damage)


def test_pieces_one_after_the_other_are_one_dump(tmp_path: Path, pack: Pack) -> None:
    """As `cat a.gz b.gz` makes them, and compressors that work in parallel; cuts need not be between documents."""
    cut = len(DOCUMENTS[0]) + 100
    idle = b"\x50\x2a\x4d\x18\x03\x00\x00\x00xyz" if pack is PACKS["zstd"] else b""
    records, damage = read_bytes(tmp_path, idle + pack(PLAIN[:cut]) + pack(b"") + idle + pack(PLAIN[cut:]))
    assert damage is None
    assert [record.raw for record in records] == DOCUMENTS


def test_reading_begins_where_it_is_told_to(tmp_path: Path, pack: Pack) -> None:
    """At the offset of any document; damage behind it counts from the dump's start."""
    path = tmp_path / "some.bson"
    path.write_bytes(pack(PLAIN + b"\x03\x00\x00\x00"))
    start = sum(map(len, DOCUMENTS[:30]))
    records, damage = read_all(path, start, 30)
    assert [record.raw for record in records] == DOCUMENTS[30:]
    assert records[0].offset == start
    assert (damage.offset, damage.count) == (len(PLAIN), 40)


def test_who_looks_on_sees_the_file_go_by_and_can_end_it(tmp_path: Path, pack: Pack) -> None:
    """Told in bytes of the file, on the way to the first document too; what it raises comes out."""
    path = tmp_path / "some.bson"
    path.write_bytes(pack(PLAIN))
    places: list[int] = []
    list(read(path, len(PLAIN) - len(DOCUMENTS[-1]), 39, places.append))
    assert places == sorted(places)
    assert places[-1] == path.stat().st_size

    def end(place: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(read(path, look=end))


def test_a_pipe_is_read_as_well(pack: Pack, tmp_path: Path) -> None:
    """As of a command that downloads."""
    (tmp_path / "packed").write_bytes(pack(PLAIN))
    code = "from pathlib import Path; from worker.contract.dump import read; print(len(list(read(Path('/dev/stdin')))))"
    with subprocess.Popen(["cat", tmp_path / "packed"], stdout=subprocess.PIPE) as source:
        done = subprocess.run([sys.executable, "-c", code], stdin=source.stdout, capture_output=True, text=True)
    assert done.stdout.strip() == "40", done.stderr


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(COMPRESSED)), st.data())
def test_a_cut_is_told_after_the_documents_before_it(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    """Wherever a download ended: a prefix of the documents, and then the damage; only nothing at all is no damage."""
    content = COMPRESSED[name]
    cut = data.draw(st.integers(0, len(content) - 1))
    records, damage = read_bytes(tmp_path_factory.getbasetemp(), content[:cut])
    assert [record.raw for record in records] == DOCUMENTS[: len(records)]
    assert (damage is None) == (cut == 0)
    assert is_told(records, damage)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(COMPRESSED)), st.data())
def test_a_wrong_byte_raises_nothing_but_the_damage(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    """Whatever the compressed data say of themselves; checksums see what the documents do not show."""
    content = bytearray(COMPRESSED[name])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    records, damage = read_bytes(tmp_path_factory.getbasetemp(), bytes(content))
    assert is_told(records, damage)
    assert damage is not None or [record.raw for record in records] == DOCUMENTS


@pytest.mark.parametrize("name", COMPRESSED)
def test_what_stands_behind_the_dump_is_damage(tmp_path: Path, name: str) -> None:
    """Every document is given out first; the offset is said to be that of the contents."""
    records, damage = read_bytes(tmp_path, COMPRESSED[name] + b"garbage")
    assert len(records) == 40
    assert f"damaged at byte {len(PLAIN):,}, after 40 sound documents: its {name} data are damaged" in str(damage)
    assert "counted in what it decompresses to" in str(damage)
    assert "documents before it may not be as they were written" in str(damage)


def test_a_plain_dump_that_begins_like_gzip_is_plain(tmp_path: Path) -> None:
    """Its first document has 559,903 bytes, which are gzip's first three."""
    document = bson.encode({"_id": 1, "x": bytes(559_903 - len(bson.encode({"_id": 1, "x": b""})))})
    assert document.startswith(b"\x1f\x8b\x08")
    records, damage = read_bytes(tmp_path, document + DOCUMENTS[0])
    assert [record.document["_id"] for record in records] == [1, 1]
    assert damage is None


def test_zstd_without_its_package_is_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker and trainer do not bring it along; gzip needs nothing."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ShelverError, match="is compressed with zstd.*pip install zstandard, or decompress it first"):
        read_bytes(tmp_path, COMPRESSED["zstd"])
    assert len(read_bytes(tmp_path, COMPRESSED["gzip"])[0]) == 40


def test_a_window_that_would_fill_the_memory_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """A few bytes may ask for gigabytes."""
    wide = zstandard.ZstdCompressionParameters.from_level(3, window_log=30, write_content_size=False)
    packing = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    records, damage = read_bytes(tmp_path, packing.compress(PLAIN) + packing.flush())
    assert records == []
    assert "needs over 128 MB to decompress: compress it without --long" in str(damage)


BOMBS = {
    "gzip": lambda document: gzip.compress(document * 8, 9) * 5,
    "zstd": lambda document: zstandard.compress(document * 40, 1),
    "zeros": lambda document: zstandard.compress(document[:4] + bytes(2**29), 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_fill_the_memory(tmp_path: Path, name: str) -> None:
    """Half a gigabyte from a few kilobytes, in documents as large as can be: memory stays that of some of them."""
    document = bson.encode({"_id": 1, "x": bytes(16 * MEGABYTE - 30)})
    path = tmp_path / "bomb"
    path.write_bytes(BOMBS[name](document))
    assert path.stat().st_size < MEGABYTE
    code = f"""
import resource
from pathlib import Path
from worker.contract.dump import read, DumpError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = 0
try:
    for _ in read(Path({str(path)!r})):
        count += 1
except DumpError:
    pass
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, kilobytes = map(int, done.stdout.split())
    assert count == (0 if name == "zeros" else 40)
    assert kilobytes < 200 * 1024

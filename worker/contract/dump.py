"""CDiscount's dump format: BSON documents one after the other, nothing between them; plain, gzip or zstd."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import InvalidBSON

from worker.contract.compressed import BrokenStream, Source
from worker.contract.errors import ShelverError

#: MongoDB's own limit for a document, and what its headers may add
MAX_DOCUMENT_BYTES = 16 * 2**20 + 16 * 2**10

#: neither a name in some legacy encoding nor a date beyond Python's years must cost the product
CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


class DumpError(ShelverError):
    """The dump is damaged at `offset` (bytes), after `count` whole documents, all of which were given out."""

    def __init__(self, path: Path, offset: int, count: int, problem: str):
        super().__init__(
            f"{path} is damaged at byte {offset:,}, after {count:,} sound documents: {problem}. Those before it were "
            "used; fetch the file again, or accept the loss with --tolerate"
        )
        self.offset = offset
        self.count = count


@dataclass(frozen=True, slots=True)
class Record:
    """One document of a dump."""

    #: in the dump as it is when decompressed
    offset: int
    raw: bytes
    document: dict[str, Any]


def read(
    path: Path, start: int = 0, count: int = 0, look: Callable[[int], object] = lambda place: None
) -> Iterator[Record]:
    """Yield the documents of `path` in order; memory is that of one document and the buffers of decompression.

    `start` is the offset of a document to begin at, and `count` how many are before it. `look` is told, with every
    document and on the way to the first, how many bytes of the file were read; what it raises ends the reading.

    Raises DumpError at the first byte that is no document, after all documents before it were yielded, OSError when
    the file cannot be read, and ShelverError when it is zstd and the package for that is missing.
    """
    offset = start
    with Source(path) as source:
        try:
            for _ in source.skip(start):
                look(source.place)
            while raw := _next(source):
                yield Record(offset, raw, bson.decode(raw, CODEC))
                offset += len(raw)
                count += 1
                look(source.place)
        except (BrokenStream, InvalidBSON) as error:
            told = f"no BSON document ({error})" if isinstance(error, InvalidBSON) else str(error)
            where = " (the byte is counted in what it decompresses to)" if source.is_compressed else ""
            raise DumpError(path, offset, count, told + where) from error


def _next(source: Source) -> bytes:
    """Return the bytes of the next document, none at the end."""
    header = source.read(4)
    length = int.from_bytes(header, "little", signed=True)
    if len(header) == 4 and not 5 <= length <= MAX_DOCUMENT_BYTES:
        raise BrokenStream(f"a document of {length:,} bytes cannot be")
    raw = header + source.read(max(length - 4, 0))
    if header and (len(header) < 4 or len(raw) < length):
        raise BrokenStream("the file ends within a document")
    return raw

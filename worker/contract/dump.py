"""CDiscount's dump format: BSON documents one after the other, nothing between them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import InvalidBSON

from worker.contract.errors import ShelverError

#: MongoDB's own limit for a document, and what its headers may add
MAX_DOCUMENT_BYTES = 16 * 2**20 + 16 * 2**10
READ_BUFFER_BYTES = 2**20

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

    offset: int
    raw: bytes
    document: dict[str, Any]


def read(path: Path) -> Iterator[Record]:
    """Yield the documents of `path` in order; memory is that of one document.

    Raises DumpError at the first byte that is no document, after all documents before it were yielded, and
    OSError when the file cannot be opened.
    """
    with path.open("rb", buffering=READ_BUFFER_BYTES) as file:
        offset = count = 0
        while header := file.read(4):
            length = int.from_bytes(header, "little", signed=True)
            if len(header) == 4 and not 5 <= length <= MAX_DOCUMENT_BYTES:
                raise DumpError(path, offset, count, f"a document of {length:,} bytes cannot be")
            raw = header + file.read(max(length - 4, 0))
            if len(header) < 4 or len(raw) < length:
                raise DumpError(path, offset, count, "the file ends within a document")
            try:
                document = bson.decode(raw, CODEC)
            except InvalidBSON as error:
                raise DumpError(path, offset, count, f"no BSON document ({error})") from error
            yield Record(offset, raw, document)
            offset += length
            count += 1

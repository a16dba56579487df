"""A file as what it holds: plain, gzip or zstd, told apart by its first bytes. Memory is flat, however it expands."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Self

from worker.contract.errors import ShelverError

READ_BUFFER_BYTES = 2**20

GZIP = b"\x1f\x8b\x08"
#: a frame, and the sixteen kinds that hold no data, with which pzstd begins
ZSTD = (b"\x28\xb5\x2f\xfd", *(bytes([kind]) + b"\x2a\x4d\x18" for kind in range(0x50, 0x60)))
#: where a BSON document has the name of its first field, which is always this one in a dump of MongoDB's
ID_FIELD = slice(5, 9), b"_id\0"
#: compressed bytes that are given to zstd at a time: it makes 32 MB of them at most, 128 KB of each four bytes
ZSTD_PIECE_BYTES = 1024


class BrokenStream(Exception):
    """What the file holds cannot be read on; says why."""


class Source:
    """What a file holds, from its first byte on. Raises OSError, and ShelverError where zstandard is not installed."""

    def __init__(self, path: Path):
        self._file = io.BufferedReader(path.open("rb", buffering=0), READ_BUFFER_BYTES)
        self._is_seekable = self._file.seekable()
        try:
            self._contents = self._open(path, self._file.peek(16))
        except BaseException:
            self._file.close()
            raise

    def _open(self, path: Path, head: bytes) -> Any:
        place, name = ID_FIELD
        # A plain dump whose first document has 559,903 bytes begins like gzip.
        if head.startswith(GZIP) and head[place] != name:
            return gzip.GzipFile(fileobj=self._file)
        if head.startswith(ZSTD):
            return io.BufferedReader(_Pieces(_zstd(path, self._file)), READ_BUFFER_BYTES)
        return self._file

    @property
    def is_compressed(self) -> bool:
        """Whether offsets in the contents are others than in the file."""
        return self._contents is not self._file

    @property
    def place(self) -> int:
        """Bytes of the file itself that were read; 0 of a pipe."""
        return self._file.tell() if self._is_seekable else 0

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end; raises BrokenStream."""
        try:
            data: bytes = self._contents.read(size)
        except EOFError as error:
            raise BrokenStream("its compressed data end before their time") from error
        except (zlib.error, gzip.BadGzipFile) as error:
            raise BrokenStream(_damaged("gzip", error)) from error
        return data

    def skip(self, size: int) -> Iterator[None]:
        """Leave `size` bytes out, at once in a plain file, a piece with every step in others; raises BrokenStream."""
        if self._is_seekable and not self.is_compressed:
            self._file.seek(size, io.SEEK_CUR)
        else:
            while size and (data := self.read(min(size, READ_BUFFER_BYTES))):
                size -= len(data)
                yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._contents.close()
        self._file.close()


class _Pieces(io.RawIOBase):
    """An iterator of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]):
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _zstd(path: Path, file: IO[bytes]) -> Iterator[bytes]:
    """Yield what the frames hold. The library's own stream takes a frame that is cut off for a whole one."""
    try:
        import zstandard
    except ImportError as error:
        raise ShelverError(
            f"{path} is compressed with zstd, and the package zstandard is not installed: pip install zstandard, or "
            "decompress it first"
        ) from error
    decompressor, frame = zstandard.ZstdDecompressor(), None
    try:
        while piece := file.read(ZSTD_PIECE_BYTES):
            while piece:
                frame = frame or decompressor.decompressobj()
                yield frame.decompress(piece)
                piece, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    except zstandard.ZstdError as error:
        if "memory" in str(error):
            raise BrokenStream(
                "it needs over 128 MB to decompress: compress it without --long, or decompress it"
            ) from error
        raise BrokenStream(_damaged("zstd", error)) from error
    if frame:
        raise EOFError


def _damaged(kind: str, error: Exception) -> str:
    """Return what a wrong byte means: it may be far before, as a checksum is over all that it follows."""
    return (
        f"its {kind} data are damaged ({error}), so that documents before it may not be as they were written, and what "
        "was made of them is to be made anew"
    )

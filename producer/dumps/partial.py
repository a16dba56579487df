"""A dump that grows beside the file it will be, through as many runs as it takes."""

import fcntl
import os
from pathlib import Path
from typing import Self

from worker.contract.dump import DumpError, read
from worker.contract.errors import ShelverError
from worker.contract.product import to_product_id


class PartialError(ShelverError):
    """The file cannot be written, is there already, or is being written by another process."""


class Partial:
    """FILE.NAME.part with the documents so far; it takes FILE's place when it is whole. One process at a time."""

    def __init__(self, path: Path, name: str, force: bool):
        """Open the partial file of this name, or begin it; raises PartialError."""
        self._path = path
        self._force = force
        self.part = path.with_name(f"{path.name}.{name}.part")
        #: whole documents in it, and the _id of the last; what stands after that is gone
        self.count = 0
        self.last: int | None = None
        self._refuse_to_overwrite()
        try:
            self._file = os.open(self.part, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise PartialError(f"{self.part} cannot be written: {error.strerror}; name another file") from error
        try:
            self._lock()
            self._repair()
        except BaseException:
            os.close(self._file)
            raise

    def write(self, document: bytes) -> None:
        """Append a document; raises PartialError, after which another run can go on with the file."""
        rest = memoryview(document)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            raise self._told(error) from error
        self.count += 1

    def finish(self) -> None:
        """Give it its name; raises PartialError."""
        self._refuse_to_overwrite()
        try:
            os.fsync(self._file)
            self.part.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        except OSError as error:
            raise self._told(error) from error

    def close(self) -> None:
        """Let others have it; nothing is left where nothing was written."""
        if not self.count:
            self.part.unlink(missing_ok=True)
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse_to_overwrite(self) -> None:
        if self._path.is_dir():
            raise PartialError(f"{self._path} is a folder: name a file in it")
        if self._path.exists() and not self._force:
            raise PartialError(f"{self._path} is there already: name another file, or overwrite it with --force")

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may have given it its name in the meantime.
            is_ours = os.path.samestat(os.fstat(self._file), self.part.stat())
        except (BlockingIOError, FileNotFoundError):
            is_ours = False
        if not is_ours:
            raise PartialError(f"{self.part} is being written by another process: wait for it, or name another file")

    def _repair(self) -> None:
        """Find the last whole document, and cut off what a kill left of the next."""
        end = 0
        try:
            for record in read(self.part):
                identity = to_product_id(record.document.get("_id"))
                if isinstance(identity, str):
                    break
                end = record.offset + len(record.raw)
                self.count, self.last = self.count + 1, identity
        except DumpError:
            pass
        os.truncate(self._file, end)
        os.lseek(self._file, end, os.SEEK_SET)

    def _told(self, error: OSError) -> PartialError:
        return PartialError(
            f"{self.part} cannot be written: {error.strerror}; make room and run the same command again: it goes on "
            "where it was"
        )

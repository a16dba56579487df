"""A file of product ids, one a line."""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from worker.contract.errors import ShelverError

LINES = 10_000
LOWEST, HIGHEST = -(2**63), 2**63 - 1
#: no id is longer: a file without line ends is not read whole
LONGEST_LINE = 100


class IdFileError(ShelverError):
    """A line of the file is no product id."""


@dataclass(frozen=True, slots=True)
class IdFile:
    """A file that was found sound."""

    path: Path
    count: int
    #: of what is in it, so that another file of the same name is not taken for it
    digest: str

    def blocks(self, after: int | None) -> Iterator[list[tuple[int, int]]]:
        """Yield line numbers, from 1 on, with the ids on them, some thousand at a time, those after line `after`."""
        with self.path.open("rb") as file:
            lines = ((number, line.strip()) for number, line in enumerate(file, start=1))
            ids = ((number, int(line)) for number, line in lines if line and number > (after or 0))
            while block := list(islice(ids, LINES)):
                yield block


@contextmanager
def open_ids(path: Path) -> Iterator[IdFile]:
    """Check the whole file and give it; a pipe, or - for the standard input, is kept in a temporary file meanwhile.

    Raises IdFileError when it cannot be read, and for the first line that is no product id, before any is used.
    """
    with ExitStack() as stack:
        try:
            if path.is_file():
                found = _checked(path, str(path))
            else:  # it can be read but once
                copy = stack.enter_context(tempfile.NamedTemporaryFile(prefix="shelver-ids-"))
                source = sys.stdin.buffer if str(path) == "-" else stack.enter_context(path.open("rb"))
                shutil.copyfileobj(source, copy)
                copy.flush()
                found = _checked(Path(copy.name), "the standard input" if str(path) == "-" else str(path))
        except OSError as error:
            raise IdFileError(f"{path} cannot be read: {error.strerror}; name a file, or - for the input") from error
        yield found


def _checked(path: Path, name: str) -> IdFile:
    digest, count, number = hashlib.blake2b(digest_size=16), 0, 0
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE):
            number += 1
            digest.update(line)
            if text := line.strip():
                _check(line if len(line) == LONGEST_LINE else text, name, number)
                count += 1
    return IdFile(path, count, digest.hexdigest())


def _check(text: bytes, name: str, number: int) -> None:
    digits = text.removeprefix(b"-")
    if not (digits.isdigit() and len(digits) <= 19 and LOWEST <= int(text) <= HIGHEST):
        raise IdFileError(
            f"line {number:,} of {name} is {text[:60].decode(errors='replace')!r}, no product id: write one 64-bit "
            "integer a line"
        )

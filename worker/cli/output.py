"""Where a command's rows go: a file, whole or not at all, or standard output."""

import gzip
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from worker.contract.errors import ShelverError


class NotWritten(ShelverError):
    """No file was written; nothing is left behind."""


@contextmanager
def opened(path: Path | None) -> Iterator[IO[bytes]]:
    """Give a file to write to. It becomes `path` when all went well; without a path it is standard output.

    What a name with .gz holds is compressed, without the time, so that the same rows are the same bytes. Raises
    NotWritten when there is no room or no right, BrokenPipeError when the reader went away: typer ends quietly then.
    """
    try:
        with _raw(path) as raw:
            if path is not None and path.suffix == ".gz":
                with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
                    yield cast(IO[bytes], file)
            else:
                yield raw
            raw.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        name = path or "standard output"
        raise NotWritten(f"{name} is not written ({error}): see to it and run the same command again") from error


@contextmanager
def _raw(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdout.buffer
    elif path.exists() and not path.is_file():  # a pipe or a device keeps its place; a folder is an error
        with path.open("wb") as file:
            yield file
    else:
        target = path.resolve()  # a link goes on pointing to it
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        for number in (signal.SIGTERM, signal.SIGHUP):  # which would leave the part behind
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        try:
            with part.open("wb") as file:
                yield file
            if target.exists():
                shutil.copymode(target, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

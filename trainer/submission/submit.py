"""Write Kaggle's file: `_id,category_id`, a row for every product of a dump, in its order, in flat memory."""

import gzip
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from trainer.replacing import replacing
from trainer.submission.dump_pages import DumpPages
from worker.contract.dump import DumpError
from worker.contract.errors import ShelverError
from worker.contract.product import Product

HEADER = "_id,category_id\n"
#: the level of the categories in the file
LEVEL = 3


class SubmitError(ShelverError):
    """No file was written; nothing is left behind."""


class Answers(Protocol):
    """Who knows the products' categories."""

    #: products to ask about at a time
    page_size: int

    def categories(self, products: Sequence[Product]) -> Mapping[int, int]:
        """Return product id -> level-3 category id, without the products that have none."""

    def fallback(self) -> int:
        """Return the category for a product that has none."""

    def remarks(self) -> Iterable[str]:
        """Say at the end what was special, a fact a line."""


@dataclass
class Submission:
    """What was written."""

    rows: int
    #: rows with the fallback
    without_answer: int
    #: what the file does not have
    pages: DumpPages
    remarks: list[str]

    def lines(self) -> Iterator[str]:
        """Say what to know about the file, a fact a line."""
        yield f"{self.rows:,} products, a row each"
        if self.without_answer:
            yield f"{self.without_answer:,} of them have no prediction and got the most frequent category"
        yield from self.remarks
        if self.pages.without_id:
            yield f"{self.pages.without_id:,} documents have no 64-bit integer as _id and are left out"
        if self.pages.repeated:
            yield f"{self.pages.repeated:,} documents have the _id of one before them and are left out"


def check_level(level: int, model: str) -> None:
    """Raise SubmitError when a model's classes are not what the file needs."""
    if level != LEVEL:
        raise SubmitError(f"{model} predicts categories of level {level}: the file needs a model of level {LEVEL}")


def submit(
    dump: Path, output: Path, answers: Answers, advance: Callable[[int], None] = lambda _: None, tolerate: bool = False
) -> Submission:
    """Write `output`, whole or not at all; gzipped when its name ends in .gz. `advance` is told the bytes read.

    A product without an answer gets the fallback, for it must have a row. Raises SubmitError for a dump that is damaged
    (unless `tolerate`: then the rows before the damage are written) or holds no product, or when there is no room.
    """
    if output.exists() and output.samefile(dump):
        raise SubmitError(f"{output} is the dump itself: choose another --output")
    pages = DumpPages(dump, answers.page_size, advance)
    try:
        with replacing(output) as draft:
            with _opened(draft, output.suffix == ".gz") as file:
                rows, without_answer = _write(file, pages, answers)
            if pages.damage and not tolerate:
                raise _told(dump, pages.damage)
            if not rows:
                raise SubmitError(f"{dump} holds no product: is it a dump?")
    except OSError as error:
        raise SubmitError(f"{output} is not written ({error}): see to it and run the same command again") from error
    return Submission(rows, without_answer, pages, list(answers.remarks()))


def _write(file: TextIO, pages: Iterable[list[Product]], answers: Answers) -> tuple[int, int]:
    """Write the rows; return how many there are, and how many of them have the fallback."""
    rows = without_answer = 0
    file.write(HEADER)
    for page in pages:
        found = answers.categories(page)
        for product in page:
            category = found.get(product.id)
            if category is None:
                without_answer += 1
                category = answers.fallback()
            file.write(f"{product.id},{category}\n")
        rows += len(page)
    return rows, without_answer


@contextmanager
def _opened(path: Path, compressed: bool) -> Iterator[TextIO]:
    """Open a file to write text to; gzipped without name and time, so that the same rows are the same bytes."""
    with path.open("wb") as raw:
        data = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if compressed else raw
        with io.TextIOWrapper(data, encoding="ascii", newline="") as file:
            yield file


def _told(dump: Path, damage: DumpError) -> SubmitError:
    return SubmitError(
        f"{dump} is damaged at byte {damage.offset:,}, after {damage.count:,} sound documents, and no file is written: "
        "fetch the dump again, or write the rows before the damage with --tolerate"
    )

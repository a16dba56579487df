"""The categories' English names in a CSV that people can edit: `category_id,level,name,name_en`, a row a category."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from trainer.replacing import replacing
from worker.contract.errors import ShelverError
from worker.contract.taxonomy import QUOTED_ERRORS, Category, Taxonomy

COLUMNS = ("category_id", "level", "name", "name_en")
#: level, name and name_en by category id, as the file has them
Rows = dict[int, tuple[str, str, str]]


class NamesError(ShelverError):
    """The file of English names cannot be used; the message names every line at fault and the remedy."""


class EnglishNames:
    """What is known of a tree's English names. What stands in the file wins, and is never changed here."""

    def __init__(self, path: Path, taxonomy: Taxonomy):
        """Read the file if there is one; raises NamesError with all problems by line."""
        self.path = path
        self._taxonomy = taxonomy
        self._english: dict[int, str] = {}
        self._ids: dict[str, list[int]] = {}
        for category in taxonomy.categories:
            self._ids.setdefault(category.name, []).append(category.id)
        #: rows whose id is not in the tree: ignored, and kept
        self.strangers: Rows = {}
        self._take()
        # A name that is known in one place of the tree serves its namesakes.
        known: dict[str, str] = {}
        for category in self.categories():
            if category.name_en:
                known.setdefault(category.name, category.name_en)
        for name, english in known.items():
            self.add(name, english)

    def categories(self) -> list[Category]:
        """Return the tree, parents first, with the English names that are known."""
        return [replace(each, name_en=self._english.get(each.id)) for each in self._taxonomy.categories]

    def missing(self) -> list[str]:
        """Return the French names that lack an English one, each once, level by level."""
        return list(dict.fromkeys(each.name for each in self.categories() if not each.name_en))

    def add(self, name: str, english: str) -> None:
        """Give every category of that name its English one, but for those that have one."""
        for identity in self._ids[name]:
            self._english.setdefault(identity, english)

    def write(self) -> None:
        """Write the file, whole or not at all; what was edited since it was read is taken first. Raises NamesError."""
        self._take()
        rows = [(each.id, each.level, each.name, each.name_en or "") for each in self.categories()]
        rows += [(identity, *row) for identity, row in self.strangers.items()]
        try:
            with replacing(self.path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
        except OSError as error:
            raise NamesError(f"{self.path} cannot be written ({error.strerror}): choose another --names") from error

    def lines(self) -> Iterator[str]:
        """Say how far it is, a fact a line."""
        categories = self.categories()
        known = sum(bool(each.name_en) for each in categories)
        yield f"{self.path}: {known:,} of {len(categories):,} categories have an English name"
        if missing := len(self.missing()):
            yield f"{missing:,} names lack a translation: fill in name_en by hand, or run without --offline"
        if self.strangers:
            yield f"{len(self.strangers):,} rows are of no category of the tree: they are ignored, and left as they are"

    def _take(self) -> None:
        """Take the names that the file has; one of a category that is called otherwise now is out of date."""
        rows = read_rows(self.path)
        self.strangers = {identity: row for identity, row in rows.items() if identity not in self._taxonomy.by_id}
        for category in self._taxonomy.categories:
            _, name, english = rows.get(category.id, ("", "", ""))
            if name == category.name and english:
                self._english[category.id] = english


def read_rows(path: Path) -> Rows:
    """Read the file (UTF-8, a header line), nothing when there is none; raises NamesError with all problems by line."""
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(path, csv.DictReader(file, restkey="extra", skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise NamesError(f"cannot read the English names from {path}: {error}; save it as CSV in UTF-8") from error


def _read(path: Path, reader: "csv.DictReader[str]") -> Rows:
    reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
    if missing := [column for column in COLUMNS if column not in reader.fieldnames]:
        raise NamesError(
            f"{path} line 1: column {', '.join(missing)} is missing; the header must be {','.join(COLUMNS)}, separated "
            "by commas"
        )
    rows: Rows = {}
    lines: dict[int, int] = {}
    problems: list[str] = []
    for row in reader:
        try:
            identity, values = _read_row(row)
            if identity in lines:
                raise ValueError(f"category {identity} is in line {lines[identity]} already: keep one of the two")
            lines[identity], rows[identity] = reader.line_num, values
        except ValueError as error:
            problems.append(f"line {reader.line_num}: {error}")
    if problems:
        raise NamesError(_told(path, problems))
    return rows


def _read_row(row: dict[str, str]) -> tuple[int, tuple[str, str, str]]:
    if row.get("extra"):
        raise ValueError("has more fields than the header: put a name with a comma into quotes")
    identity, level, name, english = (" ".join((row[column] or "").split()) for column in COLUMNS)
    if not (identity.isascii() and identity.isdecimal()):
        raise ValueError(f"category_id {identity!r} is not a whole number")
    return int(identity), (level, name, english)


def _told(path: Path, problems: list[str]) -> str:
    more = len(problems) - QUOTED_ERRORS
    lines = [*problems[:QUOTED_ERRORS], *([f"and {more} more"] if more > 0 else [])]
    return f"{path} has {len(problems)} line(s) to mend:\n  " + "\n  ".join(lines)

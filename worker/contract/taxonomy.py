"""The category tree, read from category_names.csv, with stable ids for levels 1 and 2."""

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from worker.contract.errors import ShelverError

COLUMNS = ("category_id", "category_level1", "category_level2", "category_level3")
LEVELS = (1, 2, 3)
#: errors quoted in one message; the rest are counted
QUOTED_ERRORS = 20


class TaxonomyError(ShelverError):
    """The category file cannot be used; the message names every line at fault and the remedy."""


@dataclass(frozen=True, slots=True)
class Category:
    """A node of the tree."""

    id: int
    level: int
    parent_id: int | None
    #: as the catalog writes it, in French, without stray spaces
    name: str
    name_en: str | None = None


def path_id(*names: str) -> int:
    """Return the stable id of a level-1 or level-2 category: a hash of its full path.

    Names repeat, paths do not. The id lies in 2**48 .. 2**49: above any id of the catalog's own, and small
    enough for a spreadsheet or a JavaScript client to hold exactly.
    """
    digest = hashlib.blake2b("\x1f".join(names).encode(), digest_size=6).digest()
    return 2**48 + int.from_bytes(digest, "big")


@dataclass(frozen=True)
class Taxonomy:
    """All categories, parents before children, each level in order of id."""

    categories: tuple[Category, ...]

    @classmethod
    def from_csv(cls, path: Path) -> Self:
        """Read `category_id,category_level1,category_level2,category_level3` (UTF-8, a header line).

        Stray spaces are cleaned and a line repeated word for word is taken once. Raises TaxonomyError with
        all problems by line: a missing column, an id that is not a number, an empty name, one id on two shelves.
        """
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                shelves = _read_shelves(path, csv.DictReader(file, restkey="extra", skipinitialspace=True))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise TaxonomyError(f"cannot read the categories from {path}: {error}") from error
        return cls.from_shelves(shelves)

    @classmethod
    def from_shelves(cls, shelves: dict[int, tuple[str, str, str]]) -> Self:
        """Build the tree from level-3 id -> (level 1, level 2, level 3 name)."""
        nodes: dict[int, Category] = {}
        for identity, (name1, name2, name3) in shelves.items():
            id1, id2 = path_id(name1), path_id(name1, name2)
            for node in (
                Category(id1, 1, None, name1),
                Category(id2, 2, id1, name2),
                Category(identity, 3, id2, name3),
            ):
                if nodes.setdefault(node.id, node) != node:
                    raise TaxonomyError(f"category id {node.id} stands for both {nodes[node.id].name} and {node.name}")
        return cls(tuple(sorted(nodes.values(), key=lambda node: (node.level, node.id))))

    def level(self, level: int) -> list[Category]:
        """Return the categories of one level in order of id."""
        return [category for category in self.categories if category.level == level]

    def ancestor(self, identity: int, level: int) -> int:
        """Return the id of the category's ancestor (or itself) at `level`; KeyError for an unknown id."""
        node = self.by_id[identity]
        while node.level > level:
            assert node.parent_id is not None  # only level 1 has no parent
            node = self.by_id[node.parent_id]
        return node.id

    def path(self, identity: int) -> str:
        """Return the names from level 1 down to the category, as A > B > C; KeyError for an unknown id."""
        levels = range(1, self.by_id[identity].level + 1)
        return " > ".join(self.by_id[self.ancestor(identity, level)].name for level in levels)

    @cached_property
    def by_id(self) -> dict[int, Category]:
        """Return every category by its id."""
        return {category.id: category for category in self.categories}


def _read_shelves(path: Path, reader: "csv.DictReader[str]") -> dict[int, tuple[str, str, str]]:
    reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
    missing = [column for column in COLUMNS if column not in reader.fieldnames]
    if missing:
        raise TaxonomyError(
            f"{path} line 1: column {', '.join(missing)} is missing; the header must be {','.join(COLUMNS)}"
        )
    shelves: dict[int, tuple[str, str, str]] = {}
    problems: list[str] = []
    for row in reader:
        try:
            identity, names = _read_row(row)
            if shelves.setdefault(identity, names) != names:
                raise ValueError(f"category {identity} already stands for {' > '.join(shelves[identity])}")
        except ValueError as error:
            problems.append(f"line {reader.line_num}: {error}")
    if not shelves and not problems:
        problems.append("line 1: no category follows the header")
    if problems:
        raise TaxonomyError(_tell(path, problems))
    return shelves


def _read_row(row: dict[str, str]) -> tuple[int, tuple[str, str, str]]:
    if row.get("extra"):
        raise ValueError("has more fields than the header: put a name with a comma into quotes")
    identity, name1, name2, name3 = (" ".join((row[column] or "").split()) for column in COLUMNS)
    if not identity.isdecimal() or not 0 <= int(identity) < 2**48:
        raise ValueError(f"category_id {identity!r} is not a whole number below 2**48")
    for column, name in zip(COLUMNS[1:], (name1, name2, name3), strict=True):
        if not name:
            raise ValueError(f"{column} is empty")
    return int(identity), (name1, name2, name3)


def _tell(path: Path, problems: list[str]) -> str:
    more = len(problems) - QUOTED_ERRORS
    lines = [*problems[:QUOTED_ERRORS], *([f"and {more} more"] if more > 0 else [])]
    return f"{path} has {len(problems)} line(s) to mend:\n  " + "\n  ".join(lines)


def to_rows(categories: Iterable[Category]) -> Iterator[dict[str, int | str | None]]:
    """Yield the categories as rows of the `categories` table."""
    for category in categories:
        yield {slot: getattr(category, slot) for slot in ("id", "level", "parent_id", "name", "name_en")}

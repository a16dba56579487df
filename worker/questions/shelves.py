"""The category tree as people search it: by words, by name or by path, in either language."""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from worker.contract.errors import ShelverError
from worker.contract.views import category_paths

#: named in an error
MOST_NAMED = 10


class NoSuchCategory(ShelverError):
    """No category, or more than one, is meant; the message names those that may be."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A category with its path."""

    category_id: int
    #: 1, 2 or 3, which is the finest
    level: int
    #: as the catalog writes it, in French
    name: str
    #: None until translated
    name_en: str | None
    #: the names from level 1 down to it, with " > " between them
    path: str
    #: None until all of them are translated
    path_en: str | None

    def __str__(self) -> str:
        return f"{self.category_id} {self.path}"


def tree(connection: Connection, level: int | None = None) -> list[Shelf]:
    """Return every category, some thousand, of one level or of all, in order of its path."""
    c = category_paths.c
    query = select(c.category_id, c.level, c.name, c.name_en, c.path, c.path_en)
    if level is not None:
        query = query.where(c.level == level)
    return sorted((Shelf(*row) for row in connection.execute(query)), key=lambda each: (each.path, each.category_id))


def matching(shelves: Iterable[Shelf], words: str) -> list[Shelf]:
    """Return those with every word somewhere in their path, or with the id; the shortest path first.

    Words are of either language, their case and accents are of no account. Without any, all match.
    """
    wanted = _plain(words).split()
    found = [each for each in shelves if str(each.category_id) == words.strip() or _has_all(each, wanted)]
    return sorted(found, key=lambda each: (len(each.path), each.path, each.category_id))


def shelf(connection: Connection, text: str, level: int | None = None) -> Shelf:
    """Return the category with this id, or with exactly this name or path, in either language.

    Case, accents and stray spaces are of no account. Raises NoSuchCategory when there is none, or more than one.
    """
    shelves = tree(connection, level)
    by_id = [each for each in shelves if str(each.category_id) == text.strip()]
    wanted = _plain(text)
    found = by_id or [each for each in shelves if wanted in _names(each)]
    if len(found) == 1:
        return found[0]
    at = "" if level is None else f" at level {level}"
    if found:
        told = f"is the name of {len(found)} categories{at}, name one by id"
        raise NoSuchCategory(f"{text[:100]!r} {told}: {_list(found)}")
    near = matching(shelves, text) or _near(shelves, wanted)
    told = f"did you mean {_list(near)}?" if near else "the view category_paths has all names"
    if not shelves and level is None:
        told = "the store has no categories yet, shelver-trainer publish brings them"
    raise NoSuchCategory(f"no category is named {text[:100]!r}{at}: {told}")


def _has_all(shelf: Shelf, words: Sequence[str]) -> bool:
    text = _plain(f"{shelf.path}\n{shelf.path_en or shelf.name_en or ''}")
    return all(word in text for word in words)


def _names(shelf: Shelf) -> set[str]:
    return {_plain(each) for each in (shelf.name, shelf.name_en, shelf.path, shelf.path_en) if each}


def _near(shelves: Sequence[Shelf], wanted: str) -> list[Shelf]:
    by_name = {_plain(name): each for each in shelves for name in (each.name, each.name_en, each.path) if name}
    return [by_name[name] for name in difflib.get_close_matches(wanted, by_name, n=3)]


def _list(shelves: Sequence[Shelf]) -> str:
    more = len(shelves) - MOST_NAMED
    return "; ".join([*map(str, shelves[:MOST_NAMED]), *([f"and {more} more"] if more > 0 else [])])


def _plain(text: str) -> str:
    """Return the text without what is of no account: case, accents, spaces around > and between words."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(each for each in apart if not unicodedata.combining(each)).replace(">", " > ").split())

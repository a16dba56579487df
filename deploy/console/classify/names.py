"""What categories are called, in both languages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from deploy.console.text import both_names
from worker.contract.database import Database, among
from worker.contract.tables import categories


@dataclass(frozen=True, slots=True)
class Name:
    """A category's name."""

    french: str
    #: None until shelver-trainer translate --store has made it
    english: str | None = None


def names_of(database: Database, ids: Iterable[int]) -> dict[int, Name]:
    """Return the names of those categories that the store has, by id; raises Unavailable when it does not answer."""
    with database.begin() as connection:
        wanted = among(connection, categories.c.id, sorted(set(ids)))
        rows = connection.execute(select(categories.c.id, categories.c.name, categories.c.name_en).where(wanted))
        return {row.id: Name(row.name, row.name_en) for row in rows}


def called(identity: int, names: Mapping[int, Name]) -> str:
    """Return the French name with the English one; the number alone where the store has neither."""
    name = names.get(identity)
    return both_names(name.french, name.english) if name else str(identity)

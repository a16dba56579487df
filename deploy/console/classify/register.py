"""A visit's register: everything that was tried, what the model said of it, and what the person says of that."""

import csv
import io
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from deploy.console.classify.classifying import Answer, Source
from deploy.console.classify.names import Name
from deploy.console.text import harmless

#: more, and the oldest go: a visit takes some megabytes at most
MOST_ENTRIES = 500
#: of a product
MOST_THUMBNAILS = 4
#: categories that are shown, at each level
TOP = 4
LEVELS = (1, 2, 3)


class Mark(StrEnum):
    """What the person says of the predicted category."""

    RIGHT = "right"
    WRONG = "wrong"


@dataclass(slots=True, eq=False)
class Entry:
    """A product that was tried."""

    #: from 1 on, in the order of the visit
    number: int
    tried_at: datetime
    source: Source
    name: str
    model: str
    #: level -> (category id, score) of its best, best first
    ranked: dict[int, list[tuple[int, float]]]
    #: the shelf its seller chose
    listed_id: int | None
    picture_count: int
    thumbnails: list[bytes]
    #: of the round that it was part of
    seconds: float
    mark: Mark | None = None

    @property
    def category_id(self) -> int:
        """The predicted category."""
        return self.ranked[3][0][0]

    @property
    def score(self) -> float:
        """The predicted category's."""
        return self.ranked[3][0][1]

    @property
    def ranked_ids(self) -> set[int]:
        """All categories that the model named."""
        return {identity for ranked in self.ranked.values() for identity, _ in ranked}


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How often the person found the model right."""

    marked: int
    right: int

    @property
    def share(self) -> float | None:
        """From 0 to 1; None where nothing is marked."""
        return self.right / self.marked if self.marked else None


class Register:
    """The last entries of a visit."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=MOST_ENTRIES)
        self._count = 0

    def add(self, answer: Answer, model_name: str, seconds: float) -> Entry:
        """Enter an answer."""
        self._count += 1
        said = answer.prediction
        entry = Entry(
            number=self._count,
            tried_at=datetime.now(UTC),
            source=answer.item.source,
            name=answer.item.name,
            model=f"{model_name} {said.model_version}",
            ranked={level: said.ranked[level][:TOP] for level in LEVELS},
            listed_id=answer.item.listed_id,
            picture_count=said.picture_count,
            thumbnails=answer.thumbnails[:MOST_THUMBNAILS],
            seconds=seconds,
        )
        self.entries.append(entry)
        return entry

    def accuracy(self) -> Accuracy:
        """Return that of all entries that are marked."""
        return _accuracy([entry.mark for entry in self.entries])

    def accuracy_by_category(self) -> dict[int, Accuracy]:
        """Return that of each predicted category with marked entries, the most marked first."""
        marks: dict[int, list[Mark | None]] = {}
        for entry in self.entries:
            if entry.mark is not None:
                marks.setdefault(entry.category_id, []).append(entry.mark)
        ordered = sorted(marks.items(), key=lambda each: (-len(each[1]), each[0]))
        return {category_id: _accuracy(given) for category_id, given in ordered}

    def to_csv(self, names: Mapping[int, Name]) -> bytes:
        """Return a line for each entry, in UTF-8 with the mark by which spreadsheets know it; no cell is a formula."""
        text = io.StringIO()
        rows = [_row(entry, names) for entry in self.entries]
        writer = csv.DictWriter(text, rows[0] if rows else [])
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode("utf-8-sig")


def _accuracy(marks: list[Mark | None]) -> Accuracy:
    return Accuracy(sum(mark is not None for mark in marks), sum(mark is Mark.RIGHT for mark in marks))


def _row(entry: Entry, names: Mapping[int, Name]) -> dict[str, object]:
    row: dict[str, object] = {
        "number": entry.number,
        "tried_at": entry.tried_at.isoformat(timespec="seconds"),
        "source": entry.source,
        "name": entry.name,
        "pictures": entry.picture_count,
        "model": entry.model,
    }
    for level in reversed(LEVELS):
        identity, score = entry.ranked[level][0]
        row |= _named(f"level{level}", identity, names) | {f"level{level}_score": round(score, 6)}
    row |= _named("listed", entry.listed_id, names) | {"mark": entry.mark, "seconds": round(entry.seconds, 3)}
    return {column: harmless(value) for column, value in row.items()}


def _named(column: str, identity: int | None, names: Mapping[int, Name]) -> dict[str, object]:
    name = names.get(identity) if identity is not None else None
    french, english = (name.french, name.english) if name else (None, None)
    return {f"{column}_id": identity, column: french, f"{column}_en": english}

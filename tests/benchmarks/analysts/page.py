"""docs/analysts.md: its questions, and the answers below them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "analysts.md"
#: a question's heading, and its SQL; what stands between the two is explained
QUESTION = re.compile(
    r"^### (?P<title>[^\n]+\?)\n(?:(?!##).*\n)*?```sql\n(?P<sql>(?:(?!```).*\n)*)```\n",
    re.MULTILINE,
)
ANSWER = re.compile(r"\n```text\n.*?```\n", re.S)


@dataclass(frozen=True)
class Question:
    """What analysts ask, and how."""

    title: str
    sql: str

    @property
    def name(self) -> str:
        """The title as one word."""
        return "_".join(re.findall(r"[a-z0-9]+", self.title.lower()))


def questions() -> Iterator[Question]:
    """Yield the questions of the page."""
    for found in QUESTION.finditer(PAGE.read_text(encoding="utf-8")):
        yield Question(found["title"], found["sql"])


def write(answers: Mapping[str, str], figures: str) -> None:
    """Put each question's answer below its SQL, and the figures below the heading Speed."""
    text = PAGE.read_text(encoding="utf-8")
    for title, answer in answers.items():
        found = next(each for each in QUESTION.finditer(text) if each["title"] == title)
        rest = text[found.end() :]
        old = ANSWER.match(rest)
        text = text[: found.end()] + f"\n```text\n{answer}\n```\n" + rest[old.end() if old else 0 :]
    begun, ended = "<!-- speed -->\n", "<!-- /speed -->"
    before, after = text.split(begun)[0], text.split(ended)[1]
    PAGE.write_text(before + begun + figures + ended + after, encoding="utf-8")


def table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as psql shows them: columns padded, numbers to the right."""
    cells = [[_tell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    numeric = [all(isinstance(row[place], int | float | Decimal) for row in rows) for place in range(len(names))]

    def line(values: Sequence[str]) -> str:
        padded = zip(values, widths, numeric, strict=True)
        return " | ".join(each.rjust(width) if right else each.ljust(width) for each, width, right in padded).rstrip()

    return "\n".join([line(names), "-+-".join("-" * width for width in widths), *map(line, cells)])


def _tell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value.isoformat() if isinstance(value, date) else "" if value is None else str(value)

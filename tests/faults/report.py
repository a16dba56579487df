"""What a run of the suite or of the soak came to, as a part of docs/reliability.md.

Written only where REPORT is set, as make test-faults and make soak do.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.goals import machine

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


@dataclass(frozen=True)
class Case:
    """One audited case."""

    name: str
    store: str
    #: ids that were enqueued
    asked_for: int
    #: rows; more than were asked for where two versions of the model answered
    predicted: int
    rejected: int
    #: of pages that were finished, given back, and cut, from the workers' logs
    done: int
    returned: int
    cut: int
    #: from the line's start to the end of the work
    seconds: float


#: in the order of the run
CASES: list[Case] = []


def cases() -> str:
    """Return a table of the cases."""
    head = ("case", "store", "ids", "predicted", "rejected", "pages done", "given back", "cut", "seconds")
    rows = [
        (
            _readable(each.name),
            each.store,
            each.asked_for,
            each.predicted,
            each.rejected,
            each.done,
            each.returned,
            each.cut,
        )
        for each in CASES
    ]
    return table(head, [(*row, f"{each.seconds:.0f}") for row, each in zip(rows, CASES, strict=True)])


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_shown(cell) for cell in line)} |" for line in lines)


def write(part: str, text: str) -> None:
    """Put a text where the page has this part, with the machine and the day, if REPORT is set."""
    if not os.environ.get("REPORT"):
        return
    begin, end = f"<!-- {part}: written by make -->", f"<!-- end of {part} -->"
    page = PAGE.read_text()
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    assert after, f"{PAGE} has no part {part}"
    here = machine()
    said = f"{here['date']}, {here['cores']} cores ({here['processor']}), Python {here['python']}:"
    PAGE.write_text(f"{before}{begin}\n{said}\n\n{text}\n{end}{after}")


def _readable(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")


def _shown(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)

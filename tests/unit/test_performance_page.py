"""The page that make bench writes, and what it says when it is asked for a part that there is none of."""

from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks import bench_performance
from tests.benchmarks.performance import page
from tests.faults.report import table

MACHINE = {"date": "2026-12-01", "cores": 2, "processor": "a processor", "python": "3.11"}
GOALS = [
    {"name": "performance.made.up", "value": 12345.6, "comparison": ">=", "target": 5000.0, "holds": True},
    {"name": "performance.made.down", "value": 0.1234, "comparison": "<=", "target": 0.1, "holds": False},
]


def run(**changes: object) -> dict[str, object]:
    """Return a part's run that was made up."""
    versions, figures = {"Celery": "5.7.0"}, {"rates": {"64": 1.5, "128": 2.5}}
    return {"machine": MACHINE, "versions": versions, "seconds": 61, "goals": GOALS, "figures": figures, **changes}


def part(name: str) -> ModuleType:
    """Return a part whose section is its figures."""
    made = ModuleType(name)
    made.section = lambda figures: f"## {name}\n\n{table(('size', 'rate'), figures['rates'].items())}\n"
    if name == "drawn":
        made.draw = lambda axes, figures: None
    return made


@pytest.fixture
def written(tmp_path: Path) -> str:
    """A page of two parts, written twice."""
    path = tmp_path / "performance.md"
    path.write_text(f"# Ours\n\nProse with a \\1 in it.\n\n{page.BEGIN}\nof before\n{page.END}\n\n## After\n")
    for _ in range(2):
        page.write({"parts": {"made": run(), "drawn": run(seconds=59)}, "goals": GOALS}, part, path)
    return path.read_text()


def test_prose_around_the_figures_stays(written: str) -> None:
    """What people wrote is above and below the figures as before, and the figures of before are gone."""
    assert written.startswith(f"# Ours\n\nProse with a \\1 in it.\n\n{page.BEGIN}\n")
    assert written.endswith(f"{page.END}\n\n## After\n")
    assert "of before" not in written
    assert written.count("## made") == 1


def test_page_has_machine_goals_and_sections(written: str) -> None:
    """It says on what, how long, which goals hold or fall short, and shows the drawings that there are."""
    assert "2026-12-01, 2 cores (a processor), Python 3.11, Celery 5.7.0." in written
    assert "The parts took 2.0 minutes, all together: made 61 s, drawn 59 s." in written
    assert "| `made.up` | 12,346 | ≥ | 5,000 | holds |" in written
    assert "| `made.down` | 0.123 | ≤ | 0.1 | **short** |" in written
    assert written.count("![drawn, drawn](performance-drawn.svg)") == 1
    assert "performance-made.svg" not in written


def test_parts_of_different_days_are_told_apart(tmp_path: Path) -> None:
    """A part that was repeated says its own day."""
    path = tmp_path / "performance.md"
    path.write_text(f"{page.BEGIN}{page.END}")
    later = {**MACHINE, "date": "2026-12-02"}
    page.write({"parts": {"made": run(), "drawn": run(machine=later)}, "goals": GOALS}, part, path)
    assert "2026-12-01, 2 cores (a processor), Python 3.11, Celery 5.7.0: made." in path.read_text()
    assert "2026-12-02, 2 cores (a processor), Python 3.11, Celery 5.7.0: drawn." in path.read_text()


def test_tables_have_as_many_columns_in_every_row(written: str) -> None:
    """Neighbouring rows of the page's tables have the same number of cells."""
    lines = written.splitlines()
    for above, below in pairwise(lines):
        if above.startswith("|") and below.startswith("|"):
            assert above.count("|") == below.count("|"), below


def test_an_unknown_part_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is measured then, and the error names what there is."""
    with pytest.raises(SystemExit):
        bench_performance.main(["--part", "nothing"])
    *_, error = capsys.readouterr().err.splitlines()
    assert "invalid choice: 'nothing' (choose from" in error
    assert all(name in error for name in bench_performance.PARTS)

"""Runs side by side: the scores table."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from trainer.run import Run

#: heading of each score, by its name in a row
HEADINGS = {
    "level1": "level 1",
    "level2": "level 2",
    "level3": "level 3",
    "top5": "top 5",
    "macro_f1": "macro-F1",
    "ece": "ECE",
}
NOTHING = "-"
SHARES = ("level1", "level2", "level3", "top5")


def row(run: Run) -> dict[str, Any]:
    """Return what the table says of a run; scores are None where there are none, as all are before `evaluate`."""
    metrics = run.metrics
    scores = {name: metrics.get(name) for name in HEADINGS}
    scores |= {"top5": metrics.get(f"level{run.level}_top5"), "ece": metrics.get("ece_after")}
    return {
        "run": str(run.folder),
        "config": run.config_name,
        "backbone": run.backbone,
        "data": Path(run.data).name,
        "level": run.level,
        "classes": len(run.classes),
        "pictures": run.counts.get("pictures"),
        "evaluated": bool(metrics),
        **scores,
    }


def table(rows: Iterable[dict[str, Any]]) -> Table:
    """Return the rows for the terminal, in the order given; `top 5` is at the level of the classes."""
    drawn = Table()
    for heading in ("run", "config", "backbone", "data"):
        drawn.add_column(heading, overflow="fold")
    for heading in ("classes", "pictures", *HEADINGS.values()):
        drawn.add_column(heading, justify="right", no_wrap=True)
    for each in rows:
        # As Text: a bracket in a name is no markup.
        names = [Text(str(each[name])) for name in ("run", "config", "backbone", "data")]
        classes = f"{each['classes']:,} ({each['level']})"
        pictures = NOTHING if each["pictures"] is None else f"{each['pictures']:,}"
        scores = ((_share if name in SHARES else _number)(each[name]) for name in HEADINGS)
        drawn.add_row(*names, classes, pictures, *scores)
    drawn.caption = "classes (their level); pictures trained on; top 5 at the level of the classes"
    return drawn


def table_of_scores(run: Run) -> Table:
    """Return what was measured of one run, a level a line; it has been evaluated."""
    metrics = run.metrics
    drawn = Table("level")
    for heading in ("right", "in the top 5", "by the first picture", "threshold", "products above it"):
        drawn.add_column(heading, justify="right")
    for level in range(1, run.level + 1):
        names = (f"level{level}", f"level{level}_top5", f"first_picture_level{level}", f"coverage_level{level}")
        right, found, first, above = (_share(metrics.get(each)) for each in names)
        drawn.add_row(str(level), right, found, first, _number(run.thresholds.get(str(level))), above)
    drawn.caption = (
        f"{metrics['products']:,} products; macro-F1 {metrics['macro_f1']:.3f}; ECE {metrics['ece_before']:.3f}, "
        f"{metrics['ece_after']:.3f} at temperature {run.temperature:.2f}"
    )
    return drawn


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"

"""The versions of a model for the terminal."""

from rich.table import Table

from trainer.publishing.replicas import AVAILABLE
from trainer.publishing.versions import Found, Version

NOTHING = "-"
#: heading of each score, by its name among the metrics
SCORES = {"level 1": "level1", "level 2": "level2", "level 3": "level3", "products": "products"}


def table(found: Found) -> Table:
    """Return the rows, newest first."""
    answering = [address for address, problem in found.servers.items() if problem is None]
    drawn = Table()
    for heading in ("version", "labels", "published (UTC)", "level", *SCORES, "folder", "row", "server"):
        drawn.add_column(heading, justify="right" if heading in ("version", "level", *SCORES) else "left")
    for each in found.versions:
        published = f"{each.published_at:%Y-%m-%d %H:%M}" if each.published_at else NOTHING
        drawn.add_row(
            *(str(each.number), ", ".join(each.labels) or NOTHING, published, str(each.level or NOTHING)),
            *(_score(each.metrics.get(name)) for name in SCORES.values()),
            *("there" if is_there else "missing" for is_there in (each.has_folder, each.is_registered)),
            _state(each, len(answering)) if answering else "no answer",
        )
    drawn.caption = (
        "level 1 to 3: shares right of the test products; row: in SQL, without which no worker uses a version"
    )
    return drawn


def _score(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2%}"
    return f"{value:,}" if isinstance(value, int) else NOTHING


def _state(version: Version, asked: int) -> str:
    """Say it in a word where all replicas agree, else how many of them have it loaded."""
    states = [state.name for state in version.states.values()]
    if not states:
        return NOTHING
    if len(set(states)) == 1 and len(states) == asked:
        return states[0]
    return f"{AVAILABLE} at {states.count(AVAILABLE)} of {asked}"

"""Pages that are written into stores of each size, in turns; then by several processes at once."""

from collections.abc import Sequence
from statistics import median

import numpy as np

from tests.benchmarks.goals import Goal, ratio
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.store.filled_store import FilledStore
from tests.benchmarks.performance.store.writing import at_once, visit
from tests.benchmarks.producer.line import Line

NAME = "store"
#: rows of predictions and candidates that are there; growth is from the second on
SIZES = (100_000, 1_000_000, 3_000_000, 10_000_000)
EXTRAPOLATED = 50_000_000
#: of the whole, when it is only tried
SMALL_PART = 0.01
#: of a round
PAGES, SMALL_PAGES = 40, 5
WRITERS, WRITERS_SECONDS, SMALL_SECONDS = (1, 2, 4), 6, 1
FASTER, GROWTH = 1.7, 1.2


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """Write as much into each size; the processes write into the second."""
    stores = [FilledStore(servers, int(size * (SMALL_PART if small else 1))) for size in SIZES]
    found = visit(stores, SMALL_PAGES if small else PAGES)
    writers = [at_once(stores[1], number, SMALL_SECONDS if small else WRITERS_SECONDS) for number in WRITERS]
    figures = {"page_size": stores[0].settings.page_size, "sizes": found, "writers": writers, **_growth(found)}
    theirs, ours = (
        [taken for each in found for taken in seconds_a_page(each, way)] for way in ("executemany", "shelver")
    )
    return [
        Goal(f"performance.{NAME}.upsert_over_executemany", ratio(theirs, ours), ">=", FASTER),
        Goal(f"performance.{NAME}.growth_1_to_10_million", figures["growth"], "<=", GROWTH),
        Goal(f"performance.{NAME}.growth_1_to_50_million_extrapolated", figures["extrapolated"], "<=", GROWTH),
    ], figures


def seconds_a_page(size: Figures, way: str = "shelver") -> list[float]:
    """Return the seconds of a page, round by round."""
    return [each["seconds"] for each in size[way]]


def _growth(found: Sequence[Figures]) -> Figures:
    """Return how the time of a page grows, measured and by a line over the logarithm of the rows there."""
    first, *_, last = larger = found[1:]
    ends = np.log([first["rows"], EXTRAPOLATED * first["rows"] / SIZES[1]])
    rows = np.log([each["rows"] for each in larger])

    def extrapolate(seconds: Sequence[float]) -> float:
        before, after = np.polyval(np.polyfit(rows, seconds, 1), ends)
        return float(after / before)

    by_round = [extrapolate(each) for each in zip(*map(seconds_a_page, larger), strict=True)]
    return {
        "growth": ratio(seconds_a_page(last), seconds_a_page(first)),
        "extrapolated": extrapolate([median(seconds_a_page(each)) for each in larger]),
        "extrapolated_by_round": by_round,
    }

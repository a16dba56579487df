"""How fast pages are written beside what is stored already, and beside SQLAlchemy's executemany.

make bench extrapolates to 50 million rows. To measure there (12 GB, a quarter of an hour):

    python -m tests.benchmarks.performance.store --rows 50000000
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from tests.benchmarks.goals import Goal, machine, ratio
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.stored import ROWS_A_PRODUCT, Stored
from tests.benchmarks.performance.writing import WAYS, at_once, visit
from tests.benchmarks.producer.line import Line, open_line
from tests.benchmarks.producer.plot import BLUE, GREY, ORANGE
from tests.faults.report import table

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
#: of predictions and candidates, those of the keys with them
INDICES = 9


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """Write pages into stores of each size, in turns; then by several processes into the second."""
    stores = [Stored(servers, int(size * (SMALL_PART if small else 1))) for size in SIZES]
    found = visit(stores, SMALL_PAGES if small else PAGES)
    writers = [at_once(stores[1], number, SMALL_SECONDS if small else WRITERS_SECONDS) for number in WRITERS]
    figures = {"page_size": stores[0].settings.page_size, "sizes": found, "writers": writers, **_growth(found)}
    pairs = [pair for each in found for pair in zip(_seconds(each, "executemany"), _seconds(each), strict=True)]
    return [
        Goal(f"performance.{NAME}.upsert_over_executemany", ratio(*zip(*pairs, strict=True)), ">=", FASTER),
        Goal(f"performance.{NAME}.growth_1_to_10_million", figures["growth"], "<=", GROWTH),
        Goal(f"performance.{NAME}.growth_1_to_50_million_extrapolated", figures["extrapolated"], "<=", GROWTH),
    ], figures


def _seconds(size: Figures, way: str = "shelver") -> list[float]:
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

    by_round = [extrapolate(each) for each in zip(*map(_seconds, larger), strict=True)]
    return {
        "growth": ratio(_seconds(last), _seconds(first)),
        "extrapolated": extrapolate([median(_seconds(each)) for each in larger]),
        "extrapolated_by_round": by_round,
    }


def section(figures: Figures) -> str:
    """Return what a page costs by size of the store, and what several writers reach, in Markdown."""
    size, sizes, by_round = figures["page_size"], figures["sizes"], figures["extrapolated_by_round"]
    least, most = min(by_round), max(by_round)
    head = ("rows there", "pages a second", "rows a second", "ms a page", "executemany", "times as fast")
    cpu = ("CPU ms: worker", "PostgreSQL", "executemany: worker", "PostgreSQL", "kB of log", "executemany")
    rows, first, last = size * ROWS_A_PRODUCT, sizes[1], sizes[-1]
    return f"""## Store

{table((*head, *cpu), [tuple(_row(each, rows)) for each in sizes])}

Pages of {size} products that are not there, {rows} rows, their ids at random among those that are, into PostgreSQL: by
`worker.store.Store`, and by SQLAlchemy's executemany of `INSERT … ON CONFLICT DO UPDATE` in the same steps of one
transaction. Medians of {len(first["shelver"])} rounds each, in turns, after VACUUM ANALYZE and a checkpoint. What
PostgreSQL does for a row, its {INDICES} indices and its foreign keys, is the same in both: the more of a page's time
it is, the nearer to 1 they come. What is no CPU time is waiting, for the disk at commit and for a core. The log has a
whole block wherever one is changed for the first time after a checkpoint, in a larger store nearly everywhere. The
largest has {last["bytes"] / 1e9:.2g} GB, PostgreSQL's `shared_buffers` {last["buffers"]}.

From {first["rows"]:,} to {last["rows"]:,} rows the time of a page grows {figures["growth"]:.2f} times. A line over the
logarithm of the rows from there on says {figures["extrapolated"]:.2f} times for {EXTRAPOLATED:,}, which is
extrapolated; by single rounds it is between {least:.2f} and {most:.2f}.

{table(("writers at once", "pages a second", "rows a second", "cores in use by then"), _writers(figures))}

Processes that write into {first["rows"]:,} rows, each as fast as it can. The last column is pages a second times the
CPU time of a page, the worker's and PostgreSQL's, as the first table has it."""


def _row(each: Figures, rows: int) -> Iterator[str]:
    seconds = {way: median(_seconds(each, way)) for way in WAYS}
    yield f"{each['rows']:,}"
    yield f"{1 / seconds['shelver']:,.0f}"
    yield f"{rows / seconds['shelver']:,.0f}"
    yield from (f"{1000 * seconds[way]:.1f}" for way in WAYS)
    yield f"{ratio(_seconds(each, 'executemany'), _seconds(each)):.2f}"
    for way in WAYS:
        for whose in ("client", "server"):
            yield f"{1000 * median(taken[f'{whose}_cpu_seconds'] for taken in each[way]):.1f}"
    yield from (f"{median(taken['log_bytes'] for taken in each[way]) / 1000:,.0f}" for way in WAYS)


def _writers(figures: Figures) -> Iterator[tuple[object, ...]]:
    rounds, size = figures["sizes"][1]["shelver"], figures["page_size"]
    cpu = median(each["client_cpu_seconds"] + each["server_cpu_seconds"] for each in rounds)
    for each in figures["writers"]:
        pages = each["pages_a_second"]
        yield each["writers"], f"{pages:,.0f}", f"{pages * size * ROWS_A_PRODUCT:,.0f}", f"{pages * cpu:.1f}"


def draw(axes: Axes, figures: Figures) -> None:
    """Draw the time of a page over the rows that are there, and the line by which it is extrapolated."""
    sizes = figures["sizes"]
    rows = [each["rows"] for each in sizes]
    for way, color, style in (("shelver", BLUE, "o-"), ("executemany", ORANGE, "s-")):
        axes.plot(rows, [1000 * median(_seconds(each, way)) for each in sizes], style, color=color, label=way)
    line = np.polyfit(np.log(rows[1:]), [1000 * median(_seconds(each)) for each in sizes[1:]], 1)
    beyond = [rows[1], EXTRAPOLATED * rows[1] // SIZES[1]]
    axes.plot(beyond, np.polyval(line, np.log(beyond)), ":", color=GREY, label="extrapolated")
    axes.set(title="A page into PostgreSQL", xlabel="rows there", ylabel="milliseconds", xscale="log", ylim=(0, None))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    axes.legend(fontsize=8)


def main() -> None:
    """Measure into a million rows and into as many as told, which is no part of make bench."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.performance.store")
    parser.add_argument("--rows", type=int, default=EXTRAPOLATED, help="rows there")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="shelver-bench-") as folder, open_line(Path(folder)) as servers:
        found = visit([Stored(servers, each) for each in (SIZES[1], rows)], PAGES)
    growth = ratio(*(_seconds(each) for each in reversed(found)))
    print(json.dumps({"machine": machine(), "growth": growth, "sizes": found}, indent=1))


if __name__ == "__main__":
    main()

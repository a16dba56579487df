"""What docs/performance.md says of the store, and how it is drawn."""

from collections.abc import Iterator
from statistics import median

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from tests.benchmarks.goals import ratio
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.store.filled_store import ROWS_A_PRODUCT
from tests.benchmarks.performance.store.measurement import EXTRAPOLATED, SIZES, seconds_a_page
from tests.benchmarks.performance.store.writing import AFTER_CHECKPOINT, WAYS
from tests.benchmarks.producer.plot import BLUE, GREY, ORANGE
from tests.faults.report import table

#: of predictions and candidates, those of the keys with them
INDICES = 9


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
`worker.store.Store`, and by SQLAlchemy's executemany of `INSERT … ON CONFLICT DO UPDATE` of the same rows, in one
transaction too. Medians of {len(first["shelver"])} rounds each, in turns, as PostgreSQL is set in deploy/compose. What
PostgreSQL does for a row, its {INDICES} indices and its foreign keys, is the same in both: the more of a page's time
it is, the nearer to 1 they come. What is no CPU time is waiting, for the disk at commit and for a core. The largest has
{last["bytes"] / 1e9:.2g} GB, PostgreSQL's `shared_buffers` {last["buffers"]}.

The log has a whole block wherever one is changed for the first time after a checkpoint. The figures are of a store
where that is over for most, as it is for most of the time between two. Right after VACUUM ANALYZE and a checkpoint a
page took, with so many kB of log:

{table(("rows there", "ms a page", "kB of log"), map(_after_checkpoint, sizes))}

From {first["rows"]:,} to {last["rows"]:,} rows the time of a page grows {figures["growth"]:.2f} times. A line over the
logarithm of the rows from there on says {figures["extrapolated"]:.2f} times for {EXTRAPOLATED:,}, which is
extrapolated; by single rounds it is between {least:.2f} and {most:.2f}.

{table(("writers at once", "pages a second", "rows a second", "cores in use by then"), _writers(figures))}

Processes that write into {first["rows"]:,} rows, each as fast as it can. The last column is pages a second times the
CPU time of a page, the worker's and PostgreSQL's, as the first table has it."""


def _row(each: Figures, rows: int) -> Iterator[str]:
    seconds = {way: median(seconds_a_page(each, way)) for way in WAYS}
    yield f"{each['rows']:,}"
    yield f"{1 / seconds['shelver']:,.0f}"
    yield f"{rows / seconds['shelver']:,.0f}"
    yield from (f"{1000 * seconds[way]:.1f}" for way in WAYS)
    yield f"{ratio(seconds_a_page(each, 'executemany'), seconds_a_page(each)):.2f}"
    for way in WAYS:
        for whose in ("client", "server"):
            yield f"{1000 * median(taken[f'{whose}_cpu_seconds'] for taken in each[way]):.1f}"
    yield from (f"{median(taken['log_bytes'] for taken in each[way]) / 1000:,.0f}" for way in WAYS)


def _after_checkpoint(each: Figures) -> tuple[str, ...]:
    seconds, size = (median(taken[of] for taken in each[AFTER_CHECKPOINT]) for of in ("seconds", "log_bytes"))
    return f"{each['rows']:,}", f"{1000 * seconds:.1f}", f"{size / 1000:,.0f}"


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
        axes.plot(rows, [1000 * median(seconds_a_page(each, way)) for each in sizes], style, color=color, label=way)
    line = np.polyfit(np.log(rows[1:]), [1000 * median(seconds_a_page(each)) for each in sizes[1:]], 1)
    beyond = [rows[1], EXTRAPOLATED * rows[1] // SIZES[1]]
    axes.plot(beyond, np.polyval(line, np.log(beyond)), ":", color=GREY, label="extrapolated")
    axes.set(title="A page into PostgreSQL", xlabel="rows there", ylabel="milliseconds", xscale="log", ylim=(0, None))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    axes.legend(fontsize=8)

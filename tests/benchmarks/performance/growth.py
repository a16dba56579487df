"""Time for a product as there are more products, larger pages, more children and a deeper queue."""

from contextlib import ExitStack, closing
from itertools import combinations, islice
from statistics import median

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from tests.benchmarks.goals import Goal, ratio
from tests.benchmarks.performance.apart import worker_apart
from tests.benchmarks.performance.growing import AXES, Axis, Microseconds, in_turns, slim, tenths
from tests.benchmarks.performance.line import Worker, catalog, insert, serve
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.waiting import Waiting
from tests.benchmarks.producer.line import Line
from tests.benchmarks.producer.plot import BLUE, GREY
from tests.faults.report import table
from worker.contract.settings import Settings

NAME = "growth"
PANELS = (2, 2)
CHILDREN = 2
#: the largest over the smallest
FLAT = 1.1
#: none is replaced amid a run of one size and not of another
PAGES_PER_CHILD = 1_000_000


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """Empty backlogs while one thing after another grows; the model is free, so that what grows is the line's own."""
    axes = {name: axis.small() if small else axis for name, axis in AXES.items()}
    fixed = {"signature": "jpeg", "copy_answers": False, "pages_per_child": PAGES_PER_CHILD}
    served = catalog(servers, NAME, 0, **fixed)
    most = max(*axes["products"].sizes, *(axis.products for axis in axes.values()))
    served.pictures.extend(insert(served.settings, islice(slim(), most)))
    settings = serve(servers, served, "tiny", "--pace", "0,0")
    with ExitStack() as started:
        workers = {
            children: started.enter_context(worker_apart(servers, served, settings, children, children))
            for children in axes["children"].sizes
        }
        found, last = _measure(workers, settings, axes)
    figures = {name: _figures(runs) for name, runs in found.items()}
    goals = [
        Goal(f"performance.{NAME}.{name}", each["largest_over_smallest"], "<=", FLAT) for name, each in figures.items()
    ]
    sizes = {name: {"unit": axis.unit, "products": axis.products} for name, axis in axes.items()}
    return goals, {"axes": {name: {**sizes[name], **figures[name]} for name in axes}, "tenths": last}


def _measure(
    workers: dict[int, Worker], settings: Settings, axes: dict[str, Axis]
) -> tuple[dict[str, Microseconds], list[float]]:
    """Return runs of every axis, and the tenths of the largest backlog."""
    two, ids = workers[CHILDREN], range(max(axes["products"].sizes))
    parts: list[list[float]] = []

    def emptied(products: int) -> float:
        read = two.log.stat().st_size
        seconds = two.classify(ids[:products]).seconds
        if products == len(ids):
            parts.append(tenths(two.pages(read)))
        return seconds

    found = {"products": in_turns(axes["products"], emptied)}
    pages, children, depth = (axes[name] for name in ("pages", "children", "depth"))
    found["pages"] = in_turns(pages, lambda size: two.classify(ids[: pages.products], size).seconds)
    found["children"] = in_turns(children, lambda number: workers[number].classify(ids[: children.products]).seconds)
    with closing(Waiting(two.settings, max(depth.sizes))) as waiting:
        found["depth"] = in_turns(depth, lambda others: waiting.seconds(two, ids[: depth.products], others))
    return found, [median(each) for each in zip(*parts, strict=True)]


def _figures(runs: Microseconds) -> Figures:
    """Return runs and medians, the largest over the smallest, the worst rise, and how far runs of one size differ."""
    medians = {size: median(each) for size, each in runs.items()}
    smallest, *_, largest = runs.values()
    pairs = min(len(smallest), len(largest))
    return {
        "runs": runs,
        "microseconds": medians,
        "largest_over_smallest": ratio(largest[:pairs], smallest[:pairs]),
        "worst_rise": max(later / earlier for earlier, later in combinations(medians.values(), 2)),
        "spread": max((max(each) - min(each)) / median(each) for each in runs.values()),
    }


def section(figures: Figures) -> str:
    """Return what a product takes at each size, in Markdown."""
    summary, every = [], []
    for name, axis in figures["axes"].items():
        sizes = list(axis["microseconds"])
        ratios = (f"{axis[what]:.2f}" for what in ("largest_over_smallest", "worst_rise"))
        span = f"{int(sizes[0]):,} to {int(sizes[-1]):,}"
        summary.append((name, axis["unit"], span, *ratios, f"{100 * axis['spread']:.0f}%"))
        for size, runs in axis["runs"].items():
            spread = f"{min(runs):,.0f} to {max(runs):,.0f} µs" if len(runs) > 1 else ""
            every.append((name, int(size), f"{median(runs):,.0f} µs", len(runs), spread))
    parts = figures["tenths"]
    return f"""## Growth: products, pages, children, depth

A worker of {CHILDREN} children, the model free, JPEG, nothing copied; listings of one picture of 2.8 KB, so that what a
product takes is not hidden by what its bytes take. *Worst rise* is the highest ratio of a size's median to that of any
lower size.

{table(("", "what grows", "from, to", "largest over smallest", "worst rise", "runs of a size differ by"), summary)}

A small backlog pays more for its beginning and its end, when not all children are busy; within the largest one, the
last tenth took {parts[-1] / parts[0]:.2f} times as long as the first. More children than cores wait for one another,
and servers and benchmark want their share of the cores.

{table(("", "size", "a product, median", "runs", "from, to"), every)}"""


def draw(panels: list[Axes], figures: Figures) -> None:
    """Draw every run, and a line through the medians, a panel for each thing that grows."""
    for axes, (name, axis) in zip(panels, figures["axes"].items(), strict=True):
        places = range(len(axis["runs"]))
        for place, runs in zip(places, axis["runs"].values(), strict=True):
            axes.plot([place] * len(runs), runs, ".", color=GREY)
        axes.plot(places, axis["microseconds"].values(), "o-", color=BLUE)
        highest = max(max(runs) for runs in axis["runs"].values())
        axes.set(title=name.capitalize(), xlabel=axis["unit"], ylabel="microseconds a product", ylim=(0, 1.1 * highest))
        axes.margins(x=0.08)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda microseconds, _: f"{microseconds:,.0f}"))
        axes.set_xticks(places, [f"{int(size):,}" for size in axis["runs"]])

"""What docs/performance.md says of growth, and how it is drawn."""

from statistics import median

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from tests.benchmarks.performance.growth.measurement import CHILDREN
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.producer.plot import BLUE, GREY
from tests.faults.report import table

#: rows and columns of the picture
PANELS = (2, 2)


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

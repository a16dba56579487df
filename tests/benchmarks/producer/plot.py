"""The figures as a picture, the same bytes for the same figures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#6b6b6b"
#: white behind it, for dark pages too; ids that do not change from run to run
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "figure.facecolor": "white",
    "legend.frameon": False,
    "svg.hashsalt": "shelver",
}
Figures = dict[str, Any]


def draw(figures: Figures, path: Path) -> None:
    """Write one panel for each part."""
    panels: list[Callable[[Axes, Figures], None]] = [_enqueueing, _watching, _backfilling, _latency]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 6.4), layout="constrained")
        for axes, panel in zip(figure.subplots(2, 2).flat, panels, strict=True):
            axes.set_axisbelow(True)
            panel(axes, figures[panel.__name__[1:]])
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _enqueueing(axes: Axes, figures: Figures) -> None:
    rates = {int(size): rate for size, rate in figures["ids_per_second"].items()}
    axes.plot(rates.keys(), rates.values(), "o-", color=BLUE)
    for size, rate in rates.items():
        axes.annotate(f"{rate:,.0f}", (size, rate), (0, 6), textcoords="offset points", ha="center", fontsize=8)
    axes.set(title="Enqueueing, by size of page", xlabel="ids in a page", ylabel="ids a second")
    axes.set(xscale="log", yscale="log", xlim=(0.6, 900))
    axes.set_ylim(min(rates.values()) / 2, 4 * max(rates.values()))
    _plain_ticks(axes, rates)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:,.0f}"))


def _watching(axes: Axes, figures: Figures) -> None:
    rates = {int(rate): each for rate, each in figures["by_rate"].items()}
    for name, color, style in (("p50", BLUE, "o-"), ("p95", ORANGE, "s-"), ("p99", GREY, "^-"), ("max", GREY, "x:")):
        axes.plot(
            rates.keys(), [1000 * each[f"{name}_seconds"] for each in rates.values()], style, color=color, label=name
        )
    axes.set(title="From MongoDB's acknowledgement to the queue", xlabel="listings a second", ylabel="milliseconds")
    axes.set(xscale="log", ylim=(0, None))
    _plain_ticks(axes, rates)
    axes.legend()


def _backfilling(axes: Axes, figures: Figures) -> None:
    for name, color, style in (
        ("drained", BLUE, "-"),
        ("consumer rests", GREY, ":"),
        ("without prediction", ORANGE, "-"),
    ):
        ids, megabytes = zip(*figures["runs"][name]["memory"], strict=True)
        axes.plot(ids, megabytes, style, color=color, label=name)
    highest = max(size for run in figures["runs"].values() for _, size in run["memory"])
    axes.set(title="Memory of a backfill", xlabel="ids enqueued", ylabel="megabytes", ylim=(0, 1.25 * highest))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ids, _: f"{ids:,.0f}"))
    axes.legend(loc="lower right")


def _latency(axes: Axes, figures: Figures) -> None:
    for name, color, label in (("alone", BLUE, "alone"), ("amid", ORANGE, "amid a backfill")):
        waits = 1000 * np.array(figures[name]["percentiles"])
        axes.plot(waits, np.linspace(0, 100, len(waits)), color=color, label=label)
    axes.axvline(1000 * figures["page_seconds"], color=GREY, linestyle=":", label="one page of it, median")
    axes.set(
        title="New listings, alone and amid a backfill", ylabel="% predicted by then", xlim=(0, None), ylim=(0, 100)
    )
    axes.set_xlabel("milliseconds from enqueue() to the prediction")
    axes.legend(loc="lower right")


def _plain_ticks(axes: Axes, values: Any) -> None:
    axes.set_xticks(list(values), [f"{each:,}" for each in values])
    axes.minorticks_off()

"""The report's plots, each as the data URI of an SVG: sharp at any size, and drawn without a display."""

import base64
import io
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from trainer.explore.counts import Level

WIDTH_INCHES = 8.4
#: by level, told apart in grey and by those who see no red
COLOURS = {1: "#0072b2", 2: "#e69f00", 3: "#009e73"}
STYLES = {1: ":", 2: "--", 3: "-"}
BLUE, GREY, RED = "#0072b2", "#8b979f", "#c8442d"
#: bins of a distribution in one factor of ten
BINS_A_DECADE = 4
#: pictures a product that have a bar of their own; the rest share the last
MOST_BARS = 12


def distribution(levels: Mapping[int, Level]) -> str:
    """Draw how many categories have how many products, and how many pictures, at each level."""
    figure = Figure(figsize=(WIDTH_INCHES, 3.6), layout="constrained")
    for axes, (level, each) in zip(figure.subplots(1, 3), levels.items(), strict=True):
        values = [held[held > 0] for held in (each.products, each.pictures)]
        most = max(int(held.max(initial=1)) for held in values)
        bins = np.geomspace(1, 10 ** np.ceil(np.log10(most + 1)), 1 + BINS_A_DECADE * int(np.ceil(np.log10(most + 1))))
        axes.hist(values[0], bins, color=COLOURS[level], alpha=0.75, label="by products")
        axes.hist(values[1], bins, histtype="step", color="black", linewidth=1.1, label="by pictures")
        axes.set_xscale("log")
        _count(axes.xaxis)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        _dress(axes, f"Level {level}: {len(each.categories):,} categories", "products or pictures (number)", "")
        axes.legend(fontsize=7, frameon=False)
    figure.axes[0].set_ylabel("categories (number)")
    figure.suptitle("Categories by the products and pictures they hold", fontsize=11, fontweight="bold")
    return _svg(figure)


def long_tail(levels: Mapping[int, Level]) -> str:
    """Draw the products of every category over its rank, both axes logarithmic."""
    figure, axes = _figure()
    for level, each in levels.items():
        held = each.products[each.ranked]
        held = held[held > 0]
        _line(axes, level, np.arange(1, len(held) + 1), held)
    axes.set_xscale("log")
    axes.set_yscale("log")
    _count(axes.xaxis)
    _count(axes.yaxis)
    _dress(axes, "Products by category rank", "rank of the category, fullest first", "products (number)")
    axes.legend(frameon=False)
    return _svg(figure)


def concentration(levels: Mapping[int, Level]) -> str:
    """Draw the share of products that the fullest categories hold over the share of categories."""
    figure, axes = _figure()
    for level, each in levels.items():
        held = each.products[each.ranked]
        held = held[held > 0]
        if len(held):
            shares = np.concatenate([[0], np.cumsum(held) / held.sum()])
            _line(axes, level, np.linspace(0, 1, len(shares)), shares)
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=1, label="if all were equal")
    axes.axhline(0.8, color=RED, linewidth=0.8)
    axes.annotate("80% of the products", (1, 0.8), ha="right", va="bottom", fontsize=8, color=RED)
    for axis, limit in ((axes.xaxis, axes.set_xlim), (axes.yaxis, axes.set_ylim)):
        axis.set_major_formatter(PercentFormatter(1))
        limit(0, 1.01)
    _dress(
        axes, "Products in the fullest categories", "categories with products, fullest first (%)", "products held (%)"
    )
    axes.legend(frameon=False, loc="lower right")
    return _svg(figure)


def pictures_per_product(products: Mapping[int, int]) -> str:
    """Draw how many products have how many pictures."""
    bars: dict[int, int] = {}
    for pictures, number in products.items():
        bars[min(pictures, MOST_BARS)] = bars.get(min(pictures, MOST_BARS), 0) + number
    figure, axes = _figure(2.9)
    drawn = axes.bar(list(bars), list(bars.values()), 0.8, color=BLUE)
    total = sum(bars.values())
    axes.bar_label(drawn, [f"{each:,}\n{each / total:.1%}" for each in bars.values()], fontsize=8, padding=2)
    axes.set_xticks(range(1, max(bars) + 1))
    axes.set_xlim(0.4, max(*bars, 4) + 0.6)
    if max(products) > MOST_BARS:
        axes.set_xticks(range(1, MOST_BARS + 1), [*map(str, range(1, MOST_BARS)), f"{MOST_BARS}+"])
    axes.margins(y=0.2)
    _plain(axes.yaxis)
    _dress(axes, "Pictures per product", "pictures of the product (number)", "products (number)")
    return _svg(figure)


def occurrences(pictures: Mapping[int, int]) -> str:
    """Draw how many different pictures occur how often, both axes logarithmic."""
    figure, axes = _figure(2.9)
    axes.scatter(list(pictures), list(pictures.values()), 22, color=BLUE)
    axes.set_xscale("log")
    axes.set_yscale("log")
    most = max(pictures, default=1)
    axes.set_xlim(0.9, max(most * 1.3, 12))
    axes.set_ylim(0.7, 2 * max(pictures.values(), default=5))
    if most <= 10:
        axes.xaxis.set_major_locator(FixedLocator(range(1, 11)))
        axes.xaxis.set_minor_locator(NullLocator())
    _count(axes.xaxis, locate=most > 10)
    _count(axes.yaxis)
    _dress(
        axes, "How often a picture occurs", "occurrences of the same picture (number)", "different pictures (number)"
    )
    return _svg(figure)


def _line(axes: Axes, level: int, x: np.ndarray, y: np.ndarray) -> None:
    axes.plot(x, y, STYLES[level], color=COLOURS[level], linewidth=1.8, label=f"level {level}")


def _figure(height_inches: float = 3.7) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
    return figure, figure.subplots()


def _dress(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10, loc="left", fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)


def _count(axis: Axis, locate: bool = True) -> None:
    """Write the powers of ten of a logarithmic axis out."""
    if locate:
        axis.set_major_locator(LogLocator(10))
    _plain(axis)
    axis.set_minor_formatter(FuncFormatter(lambda *_: ""))


def _plain(axis: Axis) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 or not value else ""))


def _svg(figure: Figure) -> str:
    data = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "shelver"}):  # the same numbers, the same bytes
        figure.savefig(data, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(data.getvalue()).decode()}"

"""The report's figures, each as the data URI of a PNG."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from trainer.evaluation.answers import Ranking
from trainer.evaluation.calibration import Reliability
from trainer.evaluation.coverage import FEWEST_PRODUCTS, curve
from trainer.evaluation.scores import CategoryScore

DOTS_PER_INCH = 110
#: by level, told apart in grey and by those who see no red
COLOURS = {1: "#0072b2", 2: "#e69f00", 3: "#009e73"}
PALE, STRONG = "#b8c4cc", "#0072b2"
#: points of a drawn curve
MOST_POINTS = 2000


def accuracy(mean: Mapping[str, float], first: Mapping[str, float], levels: Sequence[int]) -> str:
    """Draw the share of products that are right at each level, by all pictures and by the first alone."""
    figure, (axes,) = _figure(1)
    places = np.arange(len(levels))
    ways = ((-0.2, first, PALE, "first picture"), (0.2, mean, STRONG, "mean of all pictures"))
    for shift, scores, colour, name in ways:
        bars = axes.bar(places + shift, [scores[f"level{level}"] for level in levels], 0.38, color=colour, label=name)
        axes.bar_label(bars, fmt="{:.1%}", fontsize=8, padding=2)
    axes.set_xticks(places, [f"level {level}" for level in levels])
    _share(axes.yaxis, axes.set_ylim)
    axes.set_ylabel("right products")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, frameon=False)
    return _png(figure)


def reliability(before: Reliability, after: Reliability) -> str:
    """Draw the share that is right over the score, before and after temperature scaling."""
    figure, both = _figure(2)
    for axes, found, name in zip(both, (before, after), ("before", "after"), strict=True):
        bins = len(found.products)
        filled = np.flatnonzero(found.products)
        left = filled / bins
        axes.bar(left, found.right[filled], 1 / bins, align="edge", color=PALE, edgecolor="white", label="right")
        sizes = 8 + 120 * found.products[filled] / found.products.max()
        axes.scatter(found.score[filled], found.right[filled], sizes, color=STRONG, zorder=3, label="products")
        axes.plot((0, 1), (0, 1), color="black", linewidth=1, linestyle="--")
        axes.set_title(f"{name}: ECE {found.error:.3f}", fontsize=10)
        axes.set_xlabel("score of the best category")
        _share(axes.xaxis, axes.set_xlim)
        _share(axes.yaxis, axes.set_ylim)
    both[0].set_ylabel("right products")
    return _png(figure)


def coverage(
    levels: Mapping[int, Ranking], targets: Mapping[int, float], thresholds: Mapping[int, float | None]
) -> str:
    """Draw the precision over the coverage of every threshold there could be, and where the chosen one is."""
    figure, (axes,) = _figure(1)
    for level, ranking in levels.items():
        scores, products, precision = curve(ranking.score, ranking.right)
        shown = np.flatnonzero(products >= min(FEWEST_PRODUCTS, len(ranking.score)))
        shown = shown[np.unique(np.linspace(0, len(shown) - 1, MOST_POINTS).astype(int))]
        share = products / len(ranking.score)
        axes.plot(share[shown], precision[shown], color=COLOURS[level], label=f"level {level}")
        axes.axhline(targets[level], color=COLOURS[level], linewidth=0.8, linestyle=":")
        chosen = thresholds[level]
        reached = np.flatnonzero(scores >= chosen) if chosen is not None else ()
        if len(reached):
            axes.plot(share[reached[-1]], precision[reached[-1]], "o", color=COLOURS[level])
    axes.set_xlabel("coverage: products at or above the threshold")
    axes.set_ylabel("right among them")
    _share(axes.xaxis, axes.set_xlim)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(frameon=False)
    return _png(figure)


def tail(scores: Sequence[CategoryScore]) -> str:
    """Draw the F1 of each category over its training products, with the mean of each doubling."""
    figure, (axes,) = _figure(1)
    drawn = [each for each in scores if each.f1 is not None]
    trained = np.array([max(each.trained, 1) for each in drawn])
    values = np.array([each.f1 for each in drawn])
    axes.scatter(trained, values, 10, color=PALE, label="a category")
    octave = np.floor(np.log2(trained)).astype(int)
    middles = [(2.0**each * 2**0.5, values[octave == each].mean()) for each in np.unique(octave)]
    axes.plot(*zip(*middles, strict=True), color=STRONG, marker="o", label="mean from one power of 2 to the next")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("training products of the category")
    axes.set_ylabel("F1")
    axes.set_ylim(0, 1.04)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, frameon=False)
    return _png(figure)


def _figure(columns: int) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(axis="y", alpha=0.3)
        each.set_axisbelow(True)
    return figure, axes


def _share(axis: Axis, limit: Callable[[float, float], object]) -> None:
    axis.set_major_formatter(PercentFormatter(1, decimals=0))
    limit(0, 1.04)


def _png(figure: Figure) -> str:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=DOTS_PER_INCH)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"

"""The charts of all pages. Names are data to them, never Markdown or HTML: Vega draws them as they are."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import altair as alt
import pandas as pd

from worker.questions.reliability import Bin, Covered

BLUE, PALE, RED, GREY = "#1f6fb4", "#9dbfdc", "#c8553d", "#8a8f98"
NAME_PIXELS = 230
#: of a bar at least, and of all where there are few
BAR_PIXELS, FEW_PIXELS = 11, 130
HEIGHT_PIXELS, DAILY_HEIGHT_PIXELS = 330, 260
WHOLE = alt.Scale(domain=[0, 1])


def pairs(rows: pd.DataFrame, series: tuple[str, str], title: str, axis: str) -> alt.LayerChart:
    """Return two bars a name, in the order of `rows`: name, series (one of the two given) and share of 1."""
    base = alt.Chart(rows, title=_title(title)).encode(
        x=alt.X("share:Q", title=axis, axis=alt.Axis(format="~%", tickCount=6)),
        y=alt.Y("name:N", title=None, sort=list(rows.name.unique()), axis=_names()),
        yOffset=alt.YOffset("series:N", sort=list(series)),
        tooltip=["name:N", "series:N", alt.Tooltip("share:Q", title=axis, format=".2%")],
    )
    coloured = base.mark_bar().encode(color=_colour("series", series, (PALE, BLUE)))
    return _with_figures(coloured, base).properties(height=alt.Step(max(BAR_PIXELS, FEW_PIXELS / len(rows))))


def reliability(bins: Sequence[Bin], title: str) -> alt.LayerChart:
    """Return how many of the products of a score are right, against that score; the dashed line is what it promises."""
    rows = pd.DataFrame(
        [{"score": each.mean_score, "right": each.right / each.products, "products": each.products} for each in bins]
    )
    points = alt.Chart(rows, title=_title(title)).encode(
        x=alt.X("score:Q", title="mean score (probability, %)", scale=WHOLE, axis=_percent()),
        y=alt.Y("right:Q", title="right (% of products)", scale=WHOLE, axis=_percent()),
        size=alt.Size("products:Q", scale=alt.Scale(range=[15, 400]), legend=_legend("products", format="~s")),
        tooltip=[_share("score", "mean score"), _share("right", "right"), _count("products")],
    )
    promise = alt.Chart(pd.DataFrame({"score": [0, 1], "right": [0, 1]})).encode(x="score:Q", y="right:Q")
    drawn = promise.mark_line(color=GREY, strokeDash=[4, 4]) + points.mark_circle(color=BLUE, opacity=0.75)
    return drawn.properties(height=HEIGHT_PIXELS)


def scores(bins: Sequence[Bin], title: str) -> alt.Chart:
    """Return how many products have which score, those that are right apart from those that are wrong."""
    rows = [
        {"low": each.low, "high": each.high, "are": are, "products": products}
        for each in bins
        for are, products in (("right", each.right), ("wrong", each.products - each.right))
    ]
    return (
        alt.Chart(pd.DataFrame(rows), title=_title(title))
        .mark_bar()
        .encode(
            x=alt.X("low:Q", bin="binned", title="score (probability, %)", scale=WHOLE, axis=_percent()),
            x2="high:Q",
            y=alt.Y("products:Q", title="products", axis=alt.Axis(format="~s")),
            color=_colour("are", ("right", "wrong"), (BLUE, RED)),
            tooltip=[_share("low", "score from"), "are:N", _count("products")],
        )
        .properties(height=HEIGHT_PIXELS)
    )


def coverage(curve: Sequence[Covered], chosen: Covered | None, wanted: float, title: str) -> alt.LayerChart:
    """Return which share of products is covered at which precision; a dashed line is at the wanted one."""
    line = alt.Chart(pd.DataFrame([asdict(each) for each in curve]), title=_title(title)).encode(
        x=alt.X("coverage:Q", title="coverage (% of products)", scale=WHOLE, axis=_percent()),
        y=alt.Y("precision:Q", title="precision (% right)", scale=alt.Scale(zero=False), axis=_percent()),
        tooltip=[_share("threshold", "threshold"), _share("coverage", "coverage"), _share("precision", "precision")],
    )
    goal = alt.Chart(pd.DataFrame({"precision": [wanted]})).encode(y="precision:Q")
    drawn = goal.mark_rule(color=GREY, strokeDash=[4, 4]) + line.mark_line(
        color=BLUE, point={"size": 12, "color": BLUE}
    )
    if chosen:
        drawn += line.properties(data=pd.DataFrame([asdict(chosen)])).mark_circle(color=RED, size=120, opacity=1)
    return drawn.properties(height=HEIGHT_PIXELS)


def steps(rows: pd.DataFrame, series: tuple[str, str], title: str, axis: str) -> alt.Chart:
    """Return two outlines over bins of scores; `rows`: low (of the bin), series and share of 1, and both ends at 1."""
    return (
        alt.Chart(rows, title=_title(title))
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X("low:Q", title="score (probability, %)", scale=WHOLE, axis=_percent()),
            y=alt.Y("share:Q", title=axis, axis=_percent()),
            color=_colour("series", series, (PALE, BLUE)),
            tooltip=[_share("low", "score from"), "series:N", _share("share", axis)],
        )
        .properties(height=HEIGHT_PIXELS)
    )


def daily(rows: pd.DataFrame, title: str, axis: str, form: str, is_log: bool = False) -> alt.Chart:
    """Return a line a series; `rows`: day, series and value, which `form` writes as d3 does."""
    scale = alt.Scale(type="log") if is_log else alt.Scale(zero=True)
    return _by_day(rows, title, axis, form, scale).mark_line(point=True)


def daily_counts(rows: pd.DataFrame, title: str, axis: str) -> alt.Chart:
    """Return a bar a day, in which one series stands on the other; `rows`: day, series and value."""
    return _by_day(rows, title, axis, ",.0f", alt.Scale(zero=True)).mark_bar()


def _by_day(rows: pd.DataFrame, title: str, axis: str, form: str, scale: alt.Scale) -> alt.Chart:
    # Days are text, because a browser would move a moment to its own time zone.
    texts = rows.assign(label=rows.day.dt.strftime("%d %b"), day=rows.day.dt.strftime("%a %d %b %Y"))
    several = rows.series.nunique() > 1
    colours = alt.Scale(range=[PALE, BLUE] if several else [BLUE])
    return alt.Chart(texts, title=_title(title), height=DAILY_HEIGHT_PIXELS).encode(
        x=alt.X(
            "label:O",
            title="day (UTC)",
            sort=list(texts.label.unique()),
            axis=alt.Axis(labelOverlap=True, labelAngle=0),
        ),
        y=alt.Y("value:Q", title=axis, scale=scale, axis=alt.Axis(format=form, tickCount=5)),
        color=alt.Color("series:N", scale=colours, legend=_legend() if several else None),
        tooltip=["day:N", "series:N", alt.Tooltip("value:Q", title=axis, format=form)],
    )


def _with_figures(marks: alt.Chart, base: alt.Chart) -> alt.LayerChart:
    return marks + base.mark_text(align="left", dx=4, color=GREY, clip=False).encode(
        text=alt.Text("share:Q", format=".3~p")
    )


def _colour(field: str, names: tuple[str, str], colours: tuple[str, str]) -> alt.Color:
    return alt.Color(f"{field}:N", sort=names, scale=alt.Scale(domain=names, range=colours), legend=_legend())


def _legend(title: str | None = None, **options: Any) -> alt.Legend:
    return alt.Legend(title=title, orient="top", offset=0, titleOrient="left", **options)


def _title(text: str) -> alt.Title:
    return alt.Title(text, offset=4)


def _percent() -> alt.Axis:
    return alt.Axis(format=".0%", tickCount=6)


def _names() -> alt.Axis:
    return alt.Axis(labelLimit=NAME_PIXELS, labelOverlap=False, ticks=False, domain=False)


def _share(field: str, title: str) -> alt.Tooltip:
    return alt.Tooltip(f"{field}:Q", title=title, format=".1%")


def _count(field: str) -> alt.Tooltip:
    return alt.Tooltip(f"{field}:Q", format=",")

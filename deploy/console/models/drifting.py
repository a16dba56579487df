"""What changed between two weeks, or from one model to another: the mix of categories, and the scores."""

from collections import Counter
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Literal

import pandas as pd
import streamlit as st

from deploy.console import charts
from deploy.console.asked import asked
from deploy.console.models.quality import Chosen
from deploy.console.table import NUMBER, SHARE, show_table
from deploy.console.text import both_names, plain
from worker.questions import drift, summary
from worker.questions.drift import Drift

WEEK = timedelta(weeks=1)
#: categories in the chart; the table has them all
CHARTED = 12
#: as the index is usually read
STABLE, MUCH = 0.1, 0.25
PSI = """The population stability index is the sum of (a - b) · ln(a / b) over all shares, a of the second week
(or model) and b of the first. It is usually read as: **below 0.1** stable, **to 0.25** some change, **above** much
change.

Many parts of few products differ by chance: an index that is no larger than what is given for chance says nothing.

**When it is large:** the table has what moved. If sellers list other things, all is well; if not, look at some of the
products, and whether a new model is served."""


def show_drift(chosen: Chosen) -> None:
    """Show how the mix of categories and the scores differ between two weeks, or between two models."""
    others = [each for each in chosen.versions if each.id != chosen.model.id]
    between = ["two weeks", "two models"] if others else ["two weeks"]
    if st.segmented_control("Between", between, default=between[0], required=True, key="between") == between[0]:
        _between_weeks(chosen)
        return
    other = st.selectbox(f"From one to {plain(str(chosen.model))}", others, key="older model", width=300)
    found = asked(drift.between_models, other.id, chosen.model.id, chosen.level)
    if found.before:
        _show(found, chosen.level, (str(other), str(chosen.model)))
    else:
        st.info(
            "No product has predictions of both models: `shelver-producer backfill` has the newer one predict some."
        )


def _between_weeks(chosen: Chosen) -> None:
    span = asked(summary.span)
    weeks = _weeks(*span) if span else []
    if len(weeks) < 2:
        st.info("Drift is between two weeks that have predictions: there are not yet as many.")
        return
    last = 0 if len(weeks) == 2 else 1  # the running week is not like a whole one
    first, second, third = st.columns([2, 2, 3], vertical_alignment="bottom")
    before = first.selectbox("From the week of", weeks, index=last + 1, format_func=_week, key="before")
    after = second.selectbox("to the week of", weeks, index=last, format_func=_week, key="after")
    only = third.toggle(f"only what {plain(str(chosen.model))} predicted", key="only")
    if before == after:
        st.info("Choose two different weeks.")
        return
    spans = [(monday, monday + WEEK) for monday in (before, after)]
    found = asked(drift.drift, spans[0], spans[1], chosen.level, chosen.model.id if only else None)
    if not (found.before and found.after):
        st.info("One of these weeks has no predictions: choose another.")
        return
    _show(found, chosen.level, (_week(before), _week(after)))


def _show(found: Drift, level: int, sides: tuple[str, str]) -> None:
    _show_indices(found, level)
    _show_mix(found, level, sides)


def _show_indices(found: Drift, level: int) -> None:
    products, categories, scores = st.columns(3)
    products.metric("products, before and after", f"{found.before:,} → {found.after:,}", border=True, height="stretch")
    for place, what, psi, chance in (
        (categories, f"PSI of categories, level {level}", found.psi_categories, found.chance_categories),
        (scores, f"PSI of scores, level {level}", found.psi_scores, found.chance_scores),
    ):
        reading, colour = _reading(psi or 0, chance or 0)
        place.metric(
            what,
            f"{psi:.3f}",
            reading if chance is None else f"{reading} (by chance {chance:.3f})",
            delta_color=colour,
            delta_arrow="off",
            help=PSI,
            border=True,
        )


def _reading(psi: float, chance: float) -> tuple[str, Literal["gray", "green", "orange", "red"]]:
    if psi <= 2 * chance:
        return "no more than chance", "gray"
    if psi < STABLE:
        return "stable", "green"
    return ("some change", "orange") if psi <= MUCH else ("much change", "red")


def _show_mix(found: Drift, level: int, sides: tuple[str, str]) -> None:
    left, right = st.columns(2)
    names = {each.category_id: both_names(each.name, each.name_en) for each in found.categories}
    often = Counter(names.values())  # names repeat, and two bars would be one
    mix = [
        {"name": name if often[name] == 1 else f"{name} ({each.category_id})", "series": side, "share": share}
        for each in found.categories[:CHARTED]
        for name in [names[each.category_id]]
        for side, share in zip(sides, (each.part.before_share, each.part.after_share), strict=True)
    ]
    title = f"Categories of level {level} that moved most"
    left.altair_chart(charts.pairs(pd.DataFrame(mix), sides, title, "share of products (%)"), alt=title)
    outline = [
        {"low": each.low, "series": side, "share": share}
        for each in found.scores
        for side, share in zip(sides, (each.part.before_share, each.part.after_share), strict=True)
    ]
    outline += [each | {"low": found.scores[-1].high} for each in outline[-2:]]
    title = f"Scores of level {level}"
    right.altair_chart(charts.steps(pd.DataFrame(outline), sides, title, "share of products (%)"), alt=title)
    values = [(each.name, each.name_en, *asdict(each.part).values()) for each in found.categories]
    columns = ["category", "in English", "before", "after", "share before", "share after", "part of PSI"]
    config = {
        "before": NUMBER,
        "after": NUMBER,
        "share before": SHARE,
        "share after": SHARE,
        "part of PSI": st.column_config.NumberColumn(format="%.4f"),
    }
    show_table(pd.DataFrame(values, columns=columns), config, f"drift-level{level}", "the largest part first")


def _weeks(first: datetime, last: datetime) -> list[datetime]:
    """Return the Mondays of all weeks with a moment between these, the last one first."""
    midnight = last.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = midnight - timedelta(days=last.weekday())
    weeks = [monday]
    while weeks[-1] > first:
        weeks.append(weeks[-1] - WEEK)
    return weeks


def _week(monday: datetime) -> str:
    return f"{monday:%d %b %Y}"

"""How good one model is: its scores, whether they hold what they promise, and category by category."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import streamlit as st

from deploy.console import charts
from deploy.console.asked import asked
from deploy.console.table import show_table
from deploy.console.text import percent, plain
from worker.contract.taxonomy import LEVELS
from worker.questions import reliability
from worker.questions.models import Version
from worker.questions.reliability import Bin

#: bins among which a threshold is found; charts take some of them together
FINE, TOGETHER = 100, 5
TARGETS_PERCENT = (50, 99)
TRUTH = (
    "Right is what a verdict says, or else the seller: where a seller errs and nobody looked, a model that is right "
    "counts as wrong. Products of which the tree has neither category are left out."
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the visitor looks at."""

    model: Version
    level: int
    #: predictions written then or later; None for all
    since: datetime | None
    #: all there are, those with predictions first
    versions: list[Version]


def show_scores(chosen: Chosen) -> None:
    """Show how good it was on test products, and the scores of what it predicted."""
    left, right = st.columns(2)
    with left:
        _show_test_scores(chosen.model)
    with right:
        if bins := _bins(chosen):
            title = f"Scores of level {chosen.level}, of stored predictions"
            st.altair_chart(charts.scores(_wider(bins), title), alt=title)
            st.caption(TRUTH)


def show_reliability(chosen: Chosen) -> None:
    """Show whether a score is right as often as it says, and what a threshold would cover."""
    bins = _bins(chosen)
    if not bins:
        return
    left, right = st.columns(2)
    title = f"Reliability at level {chosen.level}"
    left.altair_chart(charts.reliability(_wider(bins), title), alt=f"{title}: share right against mean score")
    left.caption(f"On the dashed line, scores hold what they promise; below it the model is too sure. {TRUTH}")
    with right:
        _show_coverage(bins, chosen.level)


def show_categories(chosen: Chosen) -> None:
    """Show how good it is by the category that it names."""
    rows = asked(reliability.by_category, chosen.level, chosen.model.id, chosen.since, limit=None)
    if not rows:
        _tell_empty(chosen)
        return
    frame = pd.DataFrame(
        [(row.category, row.category_en, row.products, row.right, row.share, row.mean_score) for row in rows],
        columns=["category", "in English", "products", "right", "share right", "mean score"],
    )
    config = {
        "products": st.column_config.NumberColumn(format="localized", help="that the model puts there"),
        "right": st.column_config.NumberColumn(format="localized", help="how many of them belong there"),
        "share right": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1),
        "mean score": st.column_config.NumberColumn(
            format="percent", help="above share right: the model is too sure here"
        ),
    }
    show_table(frame, config, f"categories-{chosen.model}-level{chosen.level}", "most products first")
    st.caption(TRUTH)


def _show_test_scores(model: Version) -> None:
    series = ("best category", "one of the best five")
    rows = [
        {"name": f"level {level}", "series": which, "share": model.metrics[f"level{level}{ending}"]}
        for level in LEVELS
        for which, ending in zip(series, ("", "_top5"), strict=True)
        if f"level{level}{ending}" in model.metrics
    ]
    if not rows:
        st.info(f"{plain(str(model))} has no test scores: `shelver-trainer evaluate RUN` before `publish` makes them.")
        return
    title = "Right on test products"
    st.altair_chart(charts.pairs(pd.DataFrame(rows), series, title, "right (% of products)"), alt=title)
    st.caption(f"{model.metrics.get('products', 0):,} products that it was not trained on.")


def _show_coverage(bins: Sequence[Bin], level: int) -> None:
    low, high = TARGETS_PERCENT
    target = st.slider(
        "Wanted precision, %", low, high, 95, key="precision", help="of those covered, so many are right"
    )
    curve = [each for wanted in range(low, high + 1) if (each := reliability.coverage(bins, wanted / 100))]
    if not curve:
        st.info(
            "Too few of these products are right to find a threshold for any precision: come back with more of them."
        )
        return
    found = reliability.coverage(bins, target / 100)
    title = f"Coverage at level {level}"
    st.altair_chart(
        charts.coverage(curve, found, target / 100, title), alt=f"{title}: precision against the share covered"
    )
    if found is None:
        st.warning(f"No threshold makes {target} % right: not even the highest scores are right that often.")
        return
    st.markdown(
        f"From a score of **{found.threshold:.2f}** on, **{percent(found.coverage)}** of products are covered, and "
        f"**{percent(found.precision)}** of those are right."
    )


def _bins(chosen: Chosen) -> list[Bin]:
    found = asked(reliability.bins, chosen.level, chosen.model.id, chosen.since, FINE)
    if not found:
        _tell_empty(chosen)
    return found


def _tell_empty(chosen: Chosen) -> None:
    st.info(
        f"There are no predictions of {plain(str(chosen.model))} in this time whose right category is known. "
        "`shelver-producer backfill` enqueues the catalog, and workers predict it with the model that is served."
    )


def _wider(bins: Sequence[Bin]) -> list[Bin]:
    """Return bins that are TOGETHER times as wide, with what is in them."""
    wide: dict[int, list[Bin]] = {}
    for each in bins:
        wide.setdefault(round(each.low * FINE) // TOGETHER, []).append(each)
    return [_joined(place * TOGETHER / FINE, some) for place, some in wide.items()]


def _joined(low: float, bins: Sequence[Bin]) -> Bin:
    products = sum(each.products for each in bins)
    mean = sum(each.products * each.mean_score for each in bins) / products
    return Bin(low, low + TOGETHER / FINE, products, mean, sum(each.right for each in bins))

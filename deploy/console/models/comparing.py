"""What two models say of the same products: how often they differ, who is right, and what moved where."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from deploy.console import charts
from deploy.console.asked import asked
from deploy.console.models.quality import TRUTH, Chosen
from deploy.console.table import NUMBER, SHARE, show_table
from deploy.console.text import percent, plain
from worker.contract.taxonomy import LEVELS
from worker.questions import comparison
from worker.questions.comparison import Comparison
from worker.questions.models import Version

#: that are fetched
FLIPS = 10_000


def show_comparison(chosen: Chosen) -> None:
    """Show how the model differs from another on the products that both predicted, and which is right more often."""
    others = [each for each in chosen.versions if each.id != chosen.model.id]
    if not others:
        st.info("There is one model only: `shelver-trainer publish RUN MODELS` publishes another to compare it with.")
        return
    other = st.selectbox(f"Compare {plain(str(chosen.model))} with", others, key="other model", width=300)
    old, new = sorted((chosen.model, other), key=lambda each: each.published_at)
    found = asked(comparison.compare, old.id, new.id)
    if not found.both:
        st.info(
            f"No product has predictions of both {plain(str(old))} and {plain(str(new))}: `shelver-producer backfill` "
            "has the served model predict what the other did."
        )
        return
    levels = LEVELS[: min(old.level, new.level)]
    left, right = st.columns(2)
    with left:
        _show_changes(found, old, new, levels)
    with right:
        _show_agreement(found, old, new, levels)
    _show_flips(old, new, min(chosen.level, levels[-1]))


def _show_changes(found: Comparison, old: Version, new: Version, levels: Sequence[int]) -> None:
    st.markdown(f"From {plain(str(old))} to {plain(str(new))}, on **{found.both:,} products** that both predicted:")
    for place, level in zip(st.columns(len(levels)), levels, strict=True):
        changed = percent(1 - found.same[level] / found.both)
        place.metric(f"changed at level {level}", changed, help="the two name different categories", border=True)
    if not found.labelled:
        st.info("Which of the two is right nobody can tell: these products have no verdict and no seller's category.")
        return
    level = levels[-1]
    gain = (found.new_right[level] - found.old_right[level]) / found.labelled
    better = plain(str(new if gain > 0 else old))
    verdict = (
        f"{better} is right more often, by {percent(abs(gain))} of products" if gain else "Both are right as often"
    )
    st.markdown(f"**{verdict} at level {level}.**")
    st.caption(TRUTH)


def _show_agreement(found: Comparison, old: Version, new: Version, levels: Sequence[int]) -> None:
    if not found.labelled:
        return
    rows = [
        {"name": f"level {level}", "series": str(model), "share": right[level] / found.labelled}
        for level in levels
        for model, right in ((old, found.old_right), (new, found.new_right))
    ]
    title = f"Right on {found.labelled:,} products"
    chart = charts.pairs(pd.DataFrame(rows), (str(old), str(new)), title, "right (% of products)")
    st.altair_chart(chart, alt=f"{title}, by model and level")


def _show_flips(old: Version, new: Version, level: int) -> None:
    rows = asked(comparison.flips, old.id, new.id, level, limit=FLIPS)
    if not rows:
        st.info(f"No product changed its category at level {level}.")
        return
    columns = [
        "was",
        "was, in English",
        "products",
        "moved",
        "share moved",
        "mostly to",
        "mostly to, in English",
        "of those",
    ]
    values = [
        (
            *(each.category, each.category_en, each.products, each.flipped, each.share),
            *(each.new_category, each.new_category_en, each.new_products),
        )
        for each in rows
    ]
    config = {"products": NUMBER, "moved": NUMBER, "share moved": SHARE, "of those": NUMBER}
    name = f"changed-{old}-{new}-level{level}"
    show_table(pd.DataFrame(values, columns=columns), config, name, "most products moved first")

"""Models: every version, how good each is on what it predicted, how two differ, and whether what comes in drifts."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd
import streamlit as st

from deploy.console import resources
from deploy.console.asked import asked, told
from deploy.console.models.comparing import show_comparison
from deploy.console.models.drifting import show_drift
from deploy.console.models.quality import Chosen, show_categories, show_reliability, show_scores
from deploy.console.text import plain
from worker.contract.errors import ShelverError
from worker.contract.taxonomy import LEVELS
from worker.questions import models, summary
from worker.questions.models import Version

#: how old the model server's word may be: one that does not answer holds up every visit that asks
SERVED_AGE_SECONDS = 15
SPANS_DAYS = (7, 30, 90, 0)  # 0: all
#: headings of the table's columns by level, what they mean, and how `evaluate` names the figures
MEASURES = {
    "right": ("of test products, which it was not trained on, the share whose best category is right", "level{}"),
    "covered": ("of test products, the share whose score reaches the threshold", "coverage_level{}"),
    "precision": ("of those covered, the share that is right", "precision_level{}"),
}
THRESHOLD = "scores from here on are an assignment; none where no score is right often enough"
PARTS = {
    "Scores": show_scores,
    "Reliability": show_reliability,
    "Categories": show_categories,
    "Two models": show_comparison,
    "Drift": show_drift,
}


def show() -> None:
    """Show the page."""
    st.title("Models")
    served = st.empty()  # filled last: a model server that does not answer takes its time
    versions: list[Version] | None = None  # when the store does not tell
    with told():
        with resources.store().begin() as connection:
            versions = models.versions(connection)
        if versions:
            _show_versions(versions)
            _show_parts(_choose(versions))
        else:
            st.info("No model is registered yet: `shelver-trainer publish RUN MODELS` publishes one and registers it.")
    with served:
        _show_served(versions)


def _show_served(versions: Sequence[Version] | None) -> None:
    found, name = _served(), resources.settings().model_name
    if isinstance(found, str):
        st.warning(plain(found), icon=":material/cloud_off:")
    elif versions is None:
        st.markdown(f"**{plain(name)}:{found}** is served now.")
    elif any((each.name, each.version) == (name, found) for each in versions):
        st.markdown(f":green[:material/check_circle:] **{plain(name)}:{found}** is served now, and the store has it.")
    else:
        st.warning(
            f"**{plain(name)}:{found}** is served now, but the store does not know it: workers take no pages until "
            "`shelver-trainer publish` has registered it in this store.",
            icon=":material/warning:",
        )


@st.cache_data(ttl=SERVED_AGE_SECONDS, show_spinner=False)
def _served() -> int | str:
    """Return the version that the model server answers with, or why there is none."""
    try:
        return resources.serving().model().version
    except ShelverError as error:
        return str(error)


def _show_versions(versions: Sequence[Version]) -> None:
    counts = asked(summary.by_model)
    number = st.column_config.NumberColumn
    config = {
        "published (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", timezone="UTC"),
        "predictions": number(format="localized", help="stored in the SQL store"),
        "test products": number(format="localized", help="that the scores in this table are of"),
        "level": number(help="of its classes, the finest it predicts"),
    }
    for level in LEVELS:
        config |= {
            f"{what} {level}": number(format="percent", help=f"level {level}: {told}")
            for what, (told, _) in MEASURES.items()
        }
        config[f"threshold {level}"] = number(format="%.2f", help=f"level {level}: {THRESHOLD}")
    rows = [_row(each, counts.get(each.id, 0)) for each in versions]
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, column_config=config, placeholder="-", alt="All registered models"
    )


def _row(model: Version, predictions: int) -> dict[str, object]:
    return {
        "model": str(model),
        "published (UTC)": model.published_at,
        "predictions": predictions,
        "test products": model.metrics.get("products"),
        **{
            f"{what} {level}": model.metrics.get(name.format(level))
            for what, (_, name) in MEASURES.items()
            for level in LEVELS
        },
        **{f"threshold {level}": model.thresholds[level] for level in LEVELS},
        "level": model.level,
    }


def _choose(versions: list[Version]) -> Chosen:
    first, second, third = st.columns([3, 2, 3])
    used = asked(summary.by_model)
    ordered = sorted(versions, key=lambda each: each.id not in used)
    model = first.selectbox("Model", ordered, key="model")
    levels = LEVELS[: model.level]
    level = second.segmented_control("Level", levels, default=model.level, required=True, key=f"level of {model.level}")
    days = third.segmented_control(
        "Predictions of",
        SPANS_DAYS,
        default=30,
        required=True,
        format_func=lambda days: f"{days} days" if days else "all time",
        help="for scores, reliability and categories: two models are compared on all they predicted, drift is by week",
        key="days of a model",
    )
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Chosen(model, level, midnight - timedelta(days=days) if days else None, ordered)


def _show_parts(chosen: Chosen) -> None:
    tabs = st.tabs(list(PARTS), on_change="rerun", key="part", bind="query-params")
    for tab, part in zip(tabs, PARTS.values(), strict=True):
        if tab.open:  # a question is asked only when its answer is looked at
            with tab, told():
                part(chosen)

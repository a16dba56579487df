"""How the line was: predictions and lag by day, what could not be predicted, and what goes to review by week."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import streamlit as st
from sqlalchemy import Row

from deploy.console import charts, resources
from deploy.console.asked import asked
from deploy.console.text import percent
from worker.contract.messages import Queue
from worker.contract.rejects import Reason
from worker.questions import summary
from worker.rejected import Choice, Rejects

SPANS_DAYS = (14, 30, 90)
WEEKS = 8
NEWEST = 100
#: how old their list may be
NEWEST_SECONDS = 15
#: lags that a logarithmic scale shows as this one, seconds
SHORTEST_SECONDS = 0.01
TRIED = "last tried (UTC)"
MOMENT = st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", timezone="UTC")
NO_PREDICTIONS = (
    "There are no predictions of these days. `shelver-producer backfill` enqueues what the catalog has, "
    "`shelver-producer watch` what comes, and `shelver-worker run` predicts it."
)
LAG = """From enqueued to written. **When it is more than a second on new:** see depth and oldest above; more workers
take more pages at once, and more replicas of the model server answer faster. On backfill it is the length of the
queue, and harmless."""
REVIEW = """Of the products whose latest prediction was written in that week, the share whose score clears no threshold
of its model, and which have no verdict. **When it grows:** see *Models* for drift; the model may have to be trained
anew."""
#: reason -> what it means, and what to do
REASONS = {
    Reason.NOT_FOUND: ("no listing has this id", "drop those withdrawn; for others see SHELVER_MONGO_DATABASE"),
    Reason.BAD_ID: ("its id is no 64-bit integer", "mend the caller; it cannot be replayed"),
    Reason.NO_PICTURES: ("the listing has no picture", "nothing: watch notices when it gets one"),
    Reason.NOT_BYTES: ("what stands for a picture is not binary", "see SHELVER_MONGO_PICTURE_PATH, then replay"),
    Reason.TOO_LARGE: ("too many bytes or pixels", "raise SHELVER_MAX_PICTURE_BYTES or _PIXELS, then replay"),
    Reason.WRONG_FORMAT: ("an image, but neither JPEG nor PNG", "convert it in the catalog"),
    Reason.UNDECODABLE: ("damaged, cut off or no image", "have the picture uploaded again"),
    Reason.REFUSED_BY_MODEL: ("the model refuses these pictures", "replay it after another version is published"),
    Reason.POISON: ("its page killed its worker, and it was why", "look at the picture before you replay it"),
}


def show_days() -> None:
    """Show predictions and lag by day."""
    days = st.segmented_control(
        "Last",
        SPANS_DAYS,
        default=SPANS_DAYS[0],
        required=True,
        format_func="last {} days".format,
        key="days of history",
        label_visibility="collapsed",
    )
    rows = asked(summary.days, _midnight() - timedelta(days=days - 1))
    if not rows:
        st.info(NO_PREDICTIONS)
        return
    frame = _by_queue(rows, days)
    left, right = st.columns(2)
    title = "Predictions by day and queue"
    left.altair_chart(charts.daily_counts(frame.assign(value=frame.predictions), title, "predictions"), alt=title)
    title = "Mean lag by day and queue"
    lags = frame.assign(value=(frame.lag_seconds / frame.predictions).clip(lower=SHORTEST_SECONDS))
    right.altair_chart(charts.daily(lags, title, "lag (seconds, logarithmic)", "~g", is_log=True), alt=title)
    new = frame[frame.series == Queue.NEW].sum(numeric_only=True)
    if new.predictions:
        share = percent(new.within_second / new.predictions)
        st.caption(f"{share} of {new.predictions:,.0f} on new were predicted within one second.", help=LAG)


def show_review() -> None:
    """Show the share of products that goes to review, by week."""
    counted = {since: asked(summary.assigned, since, until) for since, until in _weeks()}
    rows = [
        {"day": since, "series": "review", "value": counts["review"] / products}
        for since, counts in counted.items()
        if (products := sum(counts.values()))
    ]
    if not rows:
        st.info(NO_PREDICTIONS)
        return
    title = "Share that goes to review by week"
    st.altair_chart(charts.daily(pd.DataFrame(rows), title, "products (%)", ".0%"), alt=title)
    st.caption("Each point is at the Monday of its week; the last week is not over.", help=REVIEW)


def show_rejects() -> None:
    """Show rejects by reason, and the newest of them."""
    with resources.store().begin() as connection:
        found = summary.rejects(connection)
    if not found:
        st.info("There are no rejects: whatever was enqueued is predicted, or waits to be.")
        return
    most = max(count for _, count, _ in found)
    rows = [(reason.value, count, last_at, *REASONS[reason]) for reason, count, last_at in found]
    columns = ["reason", "products", TRIED, "what it means", "what to do"]
    progress = st.column_config.ProgressColumn(format="localized", min_value=0, max_value=most)
    config = {"products": progress, TRIED: MOMENT}
    st.dataframe(pd.DataFrame(rows, columns=columns), hide_index=True, column_config=config, alt="Rejects by reason")
    reasons = [None, *(reason.value for reason, _, _ in found)]
    chosen = st.selectbox("The newest of", reasons, format_func=lambda each: each or "any reason", key="reason")
    newest = pd.DataFrame(_newest(chosen), columns=["product", "reason", "detail", "attempts", TRIED])
    st.dataframe(newest, hide_index=True, column_config={TRIED: MOMENT}, alt="The newest rejects")
    st.caption(
        f"{NEWEST} at most. `shelver-worker rejects list` shows more of them, `replay` tries them again, and `drop` "
        "forgets those that are withdrawn."
    )


@st.cache_data(ttl=NEWEST_SECONDS, show_spinner=False)
def _newest(reason: str | None) -> list[tuple[str, str, str, int, datetime]]:
    choice = Choice(reasons=(Reason(reason),) if reason else ())
    with closing(Rejects(resources.settings())) as rejects:
        rows = rejects.newest(choice, NEWEST)
    # An id is text: a browser would round a large number.
    return [(str(row.product_id), row.reason.value, row.detail, row.attempts, row.last_at) for row in rows]


def _by_queue(rows: Sequence[Row[Any]], days: int) -> pd.DataFrame:
    """Return a row a day and queue, of all models: predictions, their lags in sum, those within a second."""
    frame = pd.DataFrame(
        [
            {
                "day": pd.Timestamp(row.day),
                "series": row.queue.value,
                "predictions": row.predictions,
                "lag_seconds": row.mean_lag_seconds * row.predictions,
                "within_second": row.within_second,
            }
            for row in rows
        ]
    )
    sums = frame.groupby(["day", "series"]).sum()
    every = pd.date_range(end=_midnight().replace(tzinfo=None), periods=days)
    return sums.reindex(
        pd.MultiIndex.from_product([every, sorted(set(frame.series))], names=sums.index.names), fill_value=0
    ).reset_index()


def _weeks() -> Iterator[tuple[datetime, datetime]]:
    """Yield the beginnings and ends of the last weeks, the running one included."""
    monday = _midnight() - timedelta(days=datetime.now(UTC).weekday())
    for back in reversed(range(WEEKS)):
        since = monday - timedelta(weeks=back)
        yield since, since + timedelta(weeks=1)


def _midnight() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

"""Review: one product after the other before a person who knows better, one keystroke each."""

from contextlib import suppress
from datetime import UTC, datetime

import streamlit as st

from deploy.console import resources
from deploy.console.asked import told
from deploy.console.predictions.shelf_picker import tree
from deploy.console.review.item import item, undo_key
from deploy.console.review.queue import Queue, Waiting, remaining
from deploy.console.review.reviewing import LONGEST_NAME, clean
from deploy.console.review.tallies import Tally, agreement, tallies
from deploy.console.review.visit import Visit
from deploy.console.text import both_names, percent, plain
from worker.contract.errors import Unavailable
from worker.questions import selection as questions
from worker.questions.selection import Selection

QUEUES = {Queue.DISAGREEMENTS: "Seller and model differ", Queue.UNSURE: "Model unsure"}
#: beyond which what waits is not counted, and how long a count is kept
MOST_COUNTED, COUNT_SECONDS = 10_000, 30
#: in the table, those who decided most
MOST_REVIEWERS = 20
NAME_HELP = """Your verdicts are stored under it. Whoever gives the same name counts as the same person, and gets what
that person has open: add a surname where two share a first name. Anna and anna are two."""


def show() -> None:
    """Show the page."""
    visit: Visit = st.session_state.setdefault("review", Visit())
    if not visit.reviewer:
        _ask_name(visit)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title("Review", width="content")
        waiting = _choose_queue()
    visit.go_on(waiting)
    with suppress(Unavailable) if visit.notice else told():  # of a store that is away, once is enough
        _progress(visit, waiting)
    if visit.notice:
        st.warning(plain(visit.notice))
    if visit.claim is None:
        _nothing(visit)
        return
    item(visit, visit.claim, visit.look(visit.claim))


def _ask_name(visit: Visit) -> None:
    st.title("Review")
    with st.form("reviewer", width=420):
        given = st.text_input("Your name", max_chars=LONGEST_NAME, help=NAME_HELP)
        st.caption("Whoever gives the same name counts as the same person.")
        if st.form_submit_button("Begin", type="primary"):
            if name := clean(given, LONGEST_NAME):
                visit.begin(name)
                st.rerun()
            st.error("Verdicts go with a name: type yours.")


def _choose_queue() -> Waiting:
    """Show the queues, and the shelves to keep to; both are still chosen when the reviewer comes back to the page."""
    queue = st.segmented_control(
        "Queue",
        list(Queue),
        format_func=QUEUES.__getitem__,
        default=Queue.DISAGREEMENTS,
        required=True,
        label_visibility="collapsed",
        key="review-queue",
        persist_state="session",
    )
    shelves = {each.category_id: both_names(each.name, each.name_en) for each in tree(1)}
    level1_id = st.selectbox(
        "On a shelf of level 1",
        list(shelves),
        None,
        shelves.__getitem__,
        placeholder="on all shelves",
        label_visibility="collapsed",
        width=280,
        key="review-shelf",
        persist_state="session",
    )
    return Waiting(queue, level1_id)


def _progress(visit: Visit, waiting: Waiting) -> None:
    """Show how far this reviewer and all of them have come."""
    now = datetime.now(UTC)
    with resources.store().begin() as connection:
        counted = tallies(connection, now.replace(hour=0, minute=0, second=0, microsecond=0))
    mine = next((each.today for each in counted if each.reviewer == visit.reviewer), 0)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{mine:,}** by you today · **{sum(each.today for each in counted):,}** by all · "
            f"model right in **{percent(agreement(counted), 0)}** · **{_remaining(waiting, visit.reviewer)}** wait",
            help="Verdicts of today, in UTC. The model is right in so many of all verdicts that were ever given.",
        )
        with st.popover(f"{plain(visit.reviewer)}", icon=":material/person:", type="tertiary"):
            _by_reviewer(counted)
            st.button("Somebody else", on_click=lambda: st.session_state.pop("review"))


def _by_reviewer(told: list[Tally]) -> None:
    rows = [
        {
            "Reviewer": plain(each.reviewer),  # cells are Markdown
            "Today": f"{each.today:,}",
            "Ever": f"{each.decided:,}",
            "Seller right": f"{each.seller:,}",
            "Model right": f"{each.model:,}",
            "Other shelf": f"{each.other:,}",
            "Model right in": percent(agreement([each]), 0),
        }
        for each in told[:MOST_REVIEWERS]
    ]
    if rows:
        st.table(rows, hide_index=True)
    else:
        st.caption("Nobody has decided anything yet.")


@st.cache_data(ttl=COUNT_SECONDS, show_spinner=False)
def _remaining(waiting: Waiting, reviewer: str) -> str:
    with resources.store().begin() as connection:
        count = remaining(connection, waiting, reviewer, datetime.now(UTC), MOST_COUNTED + 1)
    return f"{count:,}" if count <= MOST_COUNTED else f"{MOST_COUNTED:,}+"


def _nothing(visit: Visit) -> None:
    with resources.store().begin() as connection:
        is_empty = not questions.page(connection, Selection(), 1)
    if is_empty:
        st.info("The store has no predictions yet: `shelver-producer backfill` enqueues what is in the catalog.")
    else:
        st.info("Nothing waits here: all have a verdict, are before somebody else, or were skipped by you.")
    undo_key(visit)

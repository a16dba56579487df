"""What an analyst looks for among the predictions: filters that live in the URL, so that a link shows the same."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import streamlit as st

from deploy.console import resources
from deploy.console.predictions.shelf_picker import search, tree, walk
from deploy.console.text import both_names, plain
from worker.contract.taxonomy import LEVELS
from worker.questions import models
from worker.questions.selection import ASSIGNMENTS, Selection
from worker.questions.shelves import Shelf

#: the parameter of the URL with the id of a category; the others are those of bound widgets
SHELF = "shelf"
#: in the session, whether the box for it is open
PICKER = "shelf-picker"
SELLERS = {"differs": True, "agrees": False}
WHOLE = (0.0, 1.0)
ASSIGNMENT_HELP = """Where a product belongs: by a person's **verdict**, else by the model at the deepest level whose
score clears its threshold (**level3**, **level2**, **level1**), else by nobody: it goes to **review**.

Of the latest predictions alone."""


def filters() -> Selection:
    """Show the filters in a row; return what they select."""
    with resources.store().begin() as connection:
        versions = models.versions(connection)
    shelf = _shelf()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _pick(shelf)
        level = shelf.level if shelf else LEVELS[-1]
        low, high = st.slider(
            f"Score at level {level}", *WHOLE, WHOLE, 0.01, key="score", bind="query-params", width=200
        )
        model = _choice("Model", "model", "latest", [str(each) for each in versions], width=135)
        assignment = _choice("Assignment", "assignment", "any", ASSIGNMENTS, model is not None, ASSIGNMENT_HELP)
        seller = _choice("Seller", "seller", "any", list(SELLERS), help="Whether the seller's shelf is another one.")
        days = st.date_input("Predicted (days in UTC)", (), key="days", bind="query-params", width=250)
    return Selection(
        shelf.category_id if shelf else None,
        level,
        low if low > WHOLE[0] else None,
        high if high < WHOLE[1] else None,
        next((each.id for each in versions if str(each) == model), None),
        # One day alone is that day: so it is while a second is not chosen yet, and the URL tells no day twice.
        _midnight(min(days)) if days else None,
        _midnight(max(days) + timedelta(days=1)) if days else None,
        assignment if model is None else None,
        SELLERS.get(seller or ""),
    )


def _shelf() -> Shelf | None:
    """Return the shelf that the URL names; what it does not name, the person is told."""
    asked = st.query_params.get(SHELF)
    found = next((each for each in tree() if str(each.category_id) == asked), None)
    if asked and found is None:
        st.warning(f"No shelf has the id {plain(asked[:100])}: all are shown. Pick one by its name.")
    return found


def _pick(shelf: Shelf | None) -> None:
    label = plain(both_names(shelf.name, shelf.name_en)) if shelf else "all"
    picker = st.popover(f"Shelf: **{label}**", icon=":material/account_tree:", width=170, key=PICKER, on_change="rerun")
    if not picker.open:
        return
    with picker:
        if shelf:
            st.caption("  \n".join(plain(path) for path in (shelf.path, shelf.path_en) if path))
            st.button("All shelves", icon=":material/close:", on_click=_choose, args=(None,))
        search("shelf", _pick_and_close)
        walk("shelf", shelf.category_id if shelf else None, _choose)


def _pick_and_close(category_id: int) -> None:
    _choose(category_id)
    st.session_state[PICKER] = False


def _choose(category_id: int | None) -> None:
    if category_id is None:
        st.query_params.pop(SHELF, None)
    else:
        st.query_params[SHELF] = str(category_id)


def _choice(
    label: str,
    name: str,
    otherwise: str,
    options: Sequence[str],
    disabled: bool = False,
    help: str | None = None,
    width: int = 110,
) -> str | None:
    return st.selectbox(
        label,
        options,
        index=None,
        placeholder=otherwise,
        key=name,
        bind="query-params",
        width=width,
        disabled=disabled,
        help=help,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)

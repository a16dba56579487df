"""Predictions: filter what is stored, see it in pictures, and look at one product closely."""

from collections.abc import Sequence
from typing import Any

import streamlit as st
from sqlalchemy import Row

from deploy.console import resources
from deploy.console.predictions.detail import detail
from deploy.console.predictions.filters import filters
from deploy.console.predictions.product import KEPT_SECONDS, product
from deploy.console.predictions.thumbnails import Thumbnail, first_pictures
from deploy.console.text import both_names, percent, plain
from worker.contract.errors import Unavailable
from worker.contract.product import INT64_LIMIT
from worker.contract.taxonomy import LEVELS
from worker.questions import selection as questions
from worker.questions.selection import Selection

PAGE = 24
COLUMNS = 6
#: pixels of a picture's side in the grid
SIDE = 180
NBSP = "\N{NO-BREAK SPACE}"
#: beyond which results are not counted
MOST_COUNTED = 10_000
COUNT_SECONDS = 60
#: how old rows may be: a click on one, or on a filter's box, asks for the same again
ROWS_SECONDS = 15
#: of the URL: the id of the product that is open
PRODUCT = "product"

#: what each page up to the one that is shown comes after: None for the first
Places = list[tuple[float, int] | None]
#: in the session: of which selection they are, and the places
OF, PLACES = "predictions-of", "predictions-places"


def show() -> None:
    """Show the page."""
    st.title("Predictions")
    selection = filters()
    places = _places(selection)
    rows = _rows(selection, places[-1])
    _bar(selection, places, rows)
    _open(st.session_state[PRODUCT].strip())
    if rows:
        _grid(rows[:PAGE], selection.level)
    elif selection == Selection():
        st.info("The store has no predictions yet: `shelver-producer backfill` enqueues what is in the catalog.")
    else:
        st.info("No prediction passes these filters: take one away.")


def _places(selection: Selection) -> Places:
    """Return where the visit is; with other filters it begins with the first page again."""
    if st.session_state.get(OF) != selection:
        st.session_state[OF], st.session_state[PLACES] = selection, [None]
    places: Places = st.session_state[PLACES]
    return places


def _bar(selection: Selection, places: Places, rows: Sequence[Row[Any]]) -> None:
    """Show how many there are, the way to the pages before and after, and a box for a product's id."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text_input(
            "Product",
            key=PRODUCT,
            bind="query-params",
            placeholder="open a product by its id",
            label_visibility="collapsed",
            width=240,
        )
        first = PAGE * (len(places) - 1)
        shown = f"{first + 1:,} to {first + min(len(rows), PAGE):,} of {_count(selection)}" if rows else ""
        st.markdown(shown, width="stretch", text_alignment="right")
        st.button("Previous", shortcut="P", disabled=len(places) == 1, on_click=_turn, args=(places[:-1],))
        after = questions.place(selection, rows[PAGE - 1]) if len(rows) > PAGE else None
        st.button("Next", shortcut="N", disabled=after is None, on_click=_turn, args=([*places, after],))


@st.cache_data(ttl=ROWS_SECONDS, show_spinner=False)
def _rows(selection: Selection, after: tuple[float, int] | None) -> Sequence[Row[Any]]:
    with resources.store().begin() as connection:
        return questions.page(connection, selection, PAGE + 1, after)


def _turn(places: Places) -> None:
    st.session_state[PLACES] = places


@st.cache_data(ttl=COUNT_SECONDS, show_spinner=False)
def _count(selection: Selection) -> str:
    with resources.store().begin() as connection:
        count = questions.count(connection, selection, MOST_COUNTED + 1)
    return f"{count:,}" if count <= MOST_COUNTED else f"{MOST_COUNTED:,}+"


def _grid(rows: Sequence[Row[Any]], level: int) -> None:
    pictures, problem = _pictures(tuple(row.product_id for row in rows))
    if problem:
        st.error(f"No pictures: {plain(problem)}")
    grid = st.grid(COLUMNS, min_column_width=120, border=True)
    for row in rows:
        with grid.cell(), st.container(gap="xxsmall"):
            _card(row, level, pictures.get(row.product_id))


@st.cache_data(ttl=KEPT_SECONDS, max_entries=100, show_spinner=False)
def _pictures(ids: tuple[int, ...]) -> tuple[dict[int, Thumbnail], str | None]:
    """Return pictures, or why there are none: it is kept too, since to find it out takes seconds."""
    try:
        return first_pictures(resources.catalog(), resources.settings(), ids, SIDE), None
    except Unavailable as error:
        return {}, str(error)


def _card(row: Row[Any], level: int, picture: Thumbnail | None) -> None:
    if picture:
        st.image(picture.data, width="stretch", alt=picture.problem or f"product {row.product_id}")
    st.button(
        f"{row.product_id}",
        key=f"open-{row.product_id}",
        on_click=_choose,
        args=(row.product_id,),
        type="tertiary",
        icon=":material/open_in_full:",
        icon_position="right",
    )
    at_level = f" :gray[({percent(_score(row, level))} at{NBSP}level{NBSP}{level})]" if level < LEVELS[-1] else ""
    lines = [f"**{percent(row.score)}**{at_level}", plain(both_names(row.category, row.category_en))]
    listed = row.listed_category_id
    if listed is not None and listed != row.category_id:
        name = both_names(row.listed_category, row.listed_category_en) if row.listed_category else f"{listed}, no shelf"
        lines.append(f":orange-badge[seller] {plain(name)}")
    st.markdown(":small[" + "]  \n:small[".join(lines) + "]")


def _score(row: Row[Any], level: int) -> float:
    scores: dict[int, float] = {1: row.level1_score, 2: row.level2_score, 3: row.score}
    return scores[level]


def _choose(product_id: int) -> None:
    st.session_state[PRODUCT] = str(product_id)


def _close() -> None:
    st.session_state[PRODUCT] = ""


def _open(text: str) -> None:
    """Open the product with that id over the page; of one that nobody knows, say so."""
    if not text:
        return
    product_id = _id(text)
    if product_id is None:
        st.warning(f"{plain(text[:100])} is no product's id, which is a whole number.")
        return
    with resources.store().begin() as connection:
        found = detail(connection, product_id)
    if found.is_unknown:
        st.warning(f"The store has nothing of product {product_id}: is the id right, and was it enqueued?")
        return
    st.dialog(f"Product {product_id}", width="large", on_dismiss=_close)(product)(found)


def _id(text: str) -> int | None:
    digits = text.removeprefix("-")
    if not digits.isdecimal() or len(digits) > len(str(INT64_LIMIT)) or int(digits) >= INT64_LIMIT:
        return None
    return int(text)

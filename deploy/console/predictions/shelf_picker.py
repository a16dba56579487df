"""Picking a shelf of the tree: by words as they are typed, or from level 1 down."""

from collections.abc import Callable, Sequence

import streamlit as st
from sqlalchemy import select

from deploy.console import resources
from deploy.console.text import both_names, plain
from worker.contract.tables import categories
from worker.contract.taxonomy import LEVELS
from worker.contract.views import category_paths
from worker.questions import shelves
from worker.questions.shelves import Shelf

#: how long the tree, which a publication may change, is kept for all visits
TREE_SECONDS = 60
MOST_SHOWN = 8
#: puts the cursor in a box when it appears, for which Streamlit itself has nothing
FOCUS = "<script>document.querySelector('.st-key-{key} input').focus()</script>"


@st.cache_resource(ttl=TREE_SECONDS, show_spinner=False)
def tree(level: int | None = None) -> list[Shelf]:
    """Return every category, or those of one level."""
    with resources.store().begin() as connection:
        return shelves.tree(connection, level)


@st.fragment
def search(key: str, choose: Callable[[int], None], level: int | None = None, focus: bool = False) -> None:
    """Show a box for words and a button for each shelf that has them all; `choose` gets the id of the one picked.

    `level` leaves the others out. `focus` puts the cursor in the box. Ctrl+Enter picks the first that has the
    words, also when they are typed so fast that it is not shown yet.
    """
    if st.session_state.pop(f"{key}-is-picked", False):
        st.rerun()  # the rest of the page
    box = f"{key}-words"
    words = st.text_input(
        "Words of its path, French or English, or its id", key=box, placeholder="tasse, cup", live=True
    )
    if focus:
        st.html(FOCUS.format(key=box), unsafe_allow_javascript=True)
    found = _matching(words, level)

    def pick(number: int, shown: Shelf) -> None:
        new = st.session_state[box]
        meant = shown if number or new == words else next(iter(_matching(new, level)), None)
        if meant:
            choose(meant.category_id)
            st.session_state[f"{key}-is-picked"] = True

    for number, each in enumerate(found[:MOST_SHOWN]):
        shortcut = "Ctrl+Enter" if number == 0 else None
        label = f"{plain(both_names(each.name, each.name_en))}  :gray[{plain(each.path)}]"
        button = {"key": f"{key}-{each.category_id}", "shortcut": shortcut, "width": "stretch", "wrap": True}
        st.button(label, on_click=pick, args=(number, each), **button)
    if len(found) > MOST_SHOWN:
        st.caption(f"and {len(found) - MOST_SHOWN} more: add a word")
    elif words.strip() and not found:
        st.caption("No shelf has all these words.")


def _matching(words: str, level: int | None) -> list[Shelf]:
    return shelves.matching(tree(level), words) if words.strip() else []


def walk(key: str, chosen: int | None, choose: Callable[[int | None], None]) -> None:
    """Show a select box a level, from level 1 down to below the shelf that is `chosen`."""
    line = _line(chosen)
    for level, above, at in zip(LEVELS, [None, *line], [*line, None], strict=False):
        children = _children(above)
        if not children:
            return
        box = f"{key}-level{level}"
        st.session_state[box] = at
        st.selectbox(
            f"Level {level}",
            list(children),
            format_func=children.__getitem__,
            index=None,
            placeholder="all",
            key=box,
            on_change=lambda box=box, above=above: choose(st.session_state[box] or above),
        )


def _line(category_id: int | None) -> Sequence[int]:
    """Return the ids from level 1 down to a category."""
    c = category_paths.c
    with resources.store().begin() as connection:
        row = connection.execute(
            select(c.level, c.level1_id, c.level2_id, c.category_id).where(c.category_id == category_id)
        ).one_or_none()
    return [row.level1_id, row.level2_id, row.category_id][: row.level] if row else []


def _children(above: int | None) -> dict[int, str]:
    c = categories.c
    query = select(c.id, c.name, c.name_en).where(c.parent_id == above).order_by(c.name, c.id)
    with resources.store().begin() as connection:
        return {row.id: both_names(row.name, row.name_en) for row in connection.execute(query)}

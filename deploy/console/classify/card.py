"""One product that was tried, as a person looks at it: pictures, the best of each level with bars, right or wrong."""

from collections.abc import Mapping

import streamlit as st

from deploy.console.classify.names import Name, called
from deploy.console.classify.register import LEVELS, Entry, Mark
from deploy.console.text import percent, plain

MARKS = {Mark.RIGHT: ":material/check: Right", Mark.WRONG: ":material/close: Wrong"}
#: places on the page
CARD, ROW = "card", "row"
#: pixels; of several pictures each is half as wide
PICTURE_WIDTH = 150


def card(entry: Entry, names: Mapping[int, Name]) -> None:
    """Show an entry."""
    with st.container(border=True):
        about, *levels = st.columns([7, 8, 8, 8], gap="medium")
        with about, st.container(gap="xsmall"):
            _about(entry)
        for level, column in zip(LEVELS, levels, strict=True):
            with column:
                _bars(level, entry, names)
        if entry.listed_id is not None:
            _listed(entry, names)


def mark(entry: Entry, place: str) -> None:
    """Let the person say whether the predicted category is right, and change it; `place` tells two apart on a page."""
    key = f"{place} {entry.number}"
    st.session_state[key] = entry.mark  # what was said in the other place
    st.segmented_control(
        "Is the best of level 3 right?",
        list(Mark),
        format_func=MARKS.__getitem__,
        key=key,
        on_change=_keep,
        args=(entry, key),
        label_visibility="visible" if place == CARD else "collapsed",
    )


def _keep(entry: Entry, key: str) -> None:
    entry.mark = st.session_state[key]


def _about(entry: Entry) -> None:
    width = PICTURE_WIDTH if len(entry.thumbnails) == 1 else PICTURE_WIDTH // 2
    with st.container(horizontal=True, gap="xxsmall"):
        for number, thumbnail in enumerate(entry.thumbnails, start=1):
            st.image(thumbnail, width=width, alt=f"picture {number} of {entry.name}")
    st.markdown(plain(entry.name))
    count = entry.picture_count
    st.caption(f"{count} picture{'s' * (count > 1)} · {plain(entry.model)}")
    mark(entry, CARD)


def _bars(level: int, entry: Entry, names: Mapping[int, Name]) -> None:
    st.markdown(f"**Level {level}**")
    for identity, score in entry.ranked[level]:
        st.progress(min(max(score, 0.0), 1.0), text=f"**{percent(score)}** {plain(called(identity, names))}")


def _listed(entry: Entry, names: Mapping[int, Name]) -> None:
    assert entry.listed_id is not None
    agrees = entry.listed_id == entry.category_id
    shown = plain(called(entry.listed_id, names))
    if names and entry.listed_id not in names:
        shown += ", which is not in the tree"
    told = ":green-badge[the model agrees]" if agrees else ":orange-badge[the model differs]"
    st.markdown(f"The seller's category: **{shown}** {told}")

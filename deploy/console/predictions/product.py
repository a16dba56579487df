"""A product as a person looks at it: its pictures, who says what about its shelf, all models side by side."""

import streamlit as st

from deploy.console import resources
from deploy.console.predictions.detail import Answer, Detail, Scored
from deploy.console.predictions.thumbnails import Thumbnail, all_pictures
from deploy.console.text import both_names, percent, plain
from worker.contract.errors import Unavailable
from worker.contract.verdicts import Decision

#: pixels of a picture's side, at most
SIDE = 480
#: the narrowest column for a model's answer, and how many stand side by side at most
COLUMN_PIXELS, MOST_COLUMNS = 270, 3
#: how long pictures are kept, for a page is run anew at every click
KEPT_SECONDS = 30
ASSIGNED_BY = {
    "verdict": "a person's verdict",
    "level3": "the model, at level 3",
    "level2": "the model, at level 2",
    "level1": "the model, at level 1",
    "review": "nobody: no level's score clears its threshold, and it goes to review",
}
DECISIONS = {
    Decision.SELLER: "the seller is right",
    Decision.MODEL: "the model is right",
    Decision.OTHER: "another shelf",
    Decision.SKIPPED: "skipped",
    Decision.OPEN: "is looking at it",
}


def product(detail: Detail) -> None:
    """Show all of a product."""
    about, models = st.columns([1, 3], gap="medium")
    with about:
        show_pictures(detail.product_id)
        _standing(detail)
    count = min(max(len(detail.answers), 1), MOST_COLUMNS)
    side_by_side = models.grid(count, min_column_width=COLUMN_PIXELS, border=True)
    for answer in detail.answers:
        with side_by_side.cell(), st.container(gap="xsmall"):
            _answer(answer, detail)


def show_pictures(product_id: int) -> bool:
    """Show a product's pictures; where MongoDB does not answer, that. Return whether one could be seen."""
    pictures, problem = _pictures(product_id)
    if problem:
        st.error(f"No pictures: {plain(problem)}")
    with st.grid(1 if len(pictures) == 1 else 2, min_column_width=100, gap="xsmall"):
        for number, picture in enumerate(pictures, start=1):
            st.image(picture.data, width="stretch", alt=picture.problem or f"picture {number} of product {product_id}")
    return any(picture.problem is None for picture in pictures)


@st.cache_data(ttl=KEPT_SECONDS, max_entries=100, show_spinner=False)
def _pictures(product_id: int) -> tuple[list[Thumbnail], str | None]:
    """Return pictures, or why there are none: it is kept too, since to find it out takes seconds."""
    try:
        return all_pictures(resources.catalog(), resources.settings(), product_id, SIDE), None
    except Unavailable as error:
        return [], str(error)


def bar(scored: Scored, detail: Detail, badges: str = "") -> None:
    """Show a category with its score."""
    category_id, score = scored
    text = f"**{percent(score)}** {_names(category_id, detail)}{badges}"
    st.progress(min(max(score, 0.0), 1.0), text=text)


def where(category_id: int | None, detail: Detail) -> None:
    """Show a category's names, and the way down to it."""
    if category_id is None:
        st.markdown("none")
        return
    st.markdown(f"**{_names(category_id, detail)}**")
    path(category_id, detail)


def path(category_id: int, detail: Detail) -> None:
    """Show the way down to a category, in both languages where they differ."""
    if shelf := detail.shelves.get(category_id):
        st.caption("  \n".join(plain(each) for each in dict.fromkeys([shelf.path, shelf.path_en or shelf.path])))


def _names(category_id: int, detail: Detail) -> str:
    shelf = detail.shelves.get(category_id)
    return plain(both_names(shelf.name, shelf.name_en)) if shelf else f"{category_id}, which is not in the tree"


def _standing(detail: Detail) -> None:
    if detail.answers:
        st.markdown("The seller's shelf")
        where(detail.answers[0].listed_category_id, detail)
    if detail.assignment is not None:
        st.markdown(f"Assigned by {ASSIGNED_BY[detail.assignment.assignment]}")
        if detail.assignment.category_id is not None:
            where(detail.assignment.category_id, detail)
    if detail.verdict is not None:
        _verdict(detail)
    if detail.reject is not None:
        st.warning(plain(f"Not predicted: {detail.reject.detail} ({detail.reject.reason})"))


def _verdict(detail: Detail) -> None:
    verdict = detail.verdict
    assert verdict is not None
    when = f"{verdict.decided_at:%Y-%m-%d %H:%M} UTC"
    st.markdown(f"**{plain(verdict.reviewer)}**: {DECISIONS[verdict.decision]}, {when}")
    if verdict.note:
        st.caption(plain(verdict.note))


def _answer(answer: Answer, detail: Detail) -> None:
    latest = " :blue-badge[latest]" if answer.is_latest else ""
    st.markdown(f"**{plain(answer.model)}**{latest}")
    pictures = f"{answer.picture_count} picture{'s' * (answer.picture_count != 1)}"
    st.caption(f"{answer.predicted_at:%Y-%m-%d %H:%M} UTC · {pictures}")
    for level, scored in enumerate(answer.above[: answer.level - 1], start=1):
        st.caption(f"Level {level}")
        bar(scored, detail)
    st.caption(f"Level {answer.level}")
    for scored in answer.candidates:
        bar(scored, detail, _badges(scored[0], answer, detail))


def _badges(category_id: int, answer: Answer, detail: Detail) -> str:
    is_listed = category_id == answer.listed_category_id
    is_decided = detail.verdict is not None and category_id == detail.verdict.category_id
    return " :orange-badge[seller]" * is_listed + " :green-badge[verdict]" * is_decided

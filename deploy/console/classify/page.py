"""Classify: ask the served model about pictures from anywhere, and keep what it said of them."""

from dataclasses import dataclass, field

import streamlit as st

from deploy.console import resources
from deploy.console.classify.card import card
from deploy.console.classify.classifying import Round, classify
from deploy.console.classify.inputs import Collect, chosen
from deploy.console.classify.names import Name, names_of
from deploy.console.classify.register import Entry, Register
from deploy.console.classify.register_table import register_table
from deploy.console.text import plain
from worker.contract.errors import ShelverError

CARDS_A_PAGE = 5
#: sentences about what was left out; the rest are counted
MOST_PROBLEMS = 10


@dataclass(slots=True)
class Visit:
    """What the session of one person holds."""

    register: Register = field(default_factory=Register)
    #: how often the model was asked
    rounds: int = 0
    #: of the last time
    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    told: str = ""


def show() -> None:
    """Show the page."""
    st.title("Classify")
    visit: Visit = st.session_state.setdefault("classify", Visit())
    collect = chosen()
    if collect is not None:
        _try(visit, collect)
    names = _names(visit)
    _last_round(visit, names)
    register_table(visit.register, names)


def _try(visit: Visit, collect: Collect) -> None:
    """Ask the model; what comes of it takes the place of the last time's."""
    visit.rounds += 1
    visit.entries, visit.problems, visit.told = [], [], ""
    settings = resources.settings()
    try:
        with st.spinner("Asking the model"):
            found = classify(collect(), settings, resources.serving())
    except ShelverError as error:
        visit.problems = [str(error)]
        return
    seconds = found.decode_seconds + found.model_seconds
    visit.entries = [visit.register.add(answer, settings.model_name, seconds) for answer in found.answers]
    visit.problems = found.problems
    visit.told = _told(found, visit.entries)


def _told(found: Round, entries: list[Entry]) -> str:
    models = ", ".join(sorted({entry.model for entry in entries}))
    count = sum(entry.picture_count for entry in entries)
    return (
        f"{count} picture{'s' * (count > 1)} in {found.decode_seconds + found.model_seconds:.3f} s: "
        f"{found.decode_seconds:.3f} s to check and decode, {found.model_seconds:.3f} s for model {models} to answer"
    )


def _names(visit: Visit) -> dict[int, Name]:
    """Return what the shown categories are called, as far as the store tells; the person is told why it does not."""
    entries = [*visit.register.entries, *visit.entries]
    ranked = {identity for entry in entries for identity in entry.ranked_ids}
    listed = {entry.listed_id for entry in entries if entry.listed_id is not None}
    if not ranked:
        return {}
    try:
        names = names_of(resources.store(), ranked | listed)
    except ShelverError as error:
        st.warning(f"Categories are shown by number: {plain(str(error))}")
        return {}
    if missing := len(ranked - names.keys()):
        st.warning(
            f"{missing} of the categories below have no name in the store: publish the model with "
            "shelver-trainer publish against this SHELVER_DATABASE_URL."
        )
    elif not any(name.english for name in names.values()):
        st.caption("English names are missing: shelver-trainer translate --store makes them.")
    return names


def _last_round(visit: Visit, names: dict[int, Name]) -> None:
    if visit.problems:
        more = len(visit.problems) - MOST_PROBLEMS
        told = [*visit.problems[:MOST_PROBLEMS], *([f"and {more} more"] if more > 0 else [])]
        st.error("  \n".join(map(plain, told)))
    if not visit.entries:
        return
    st.caption(plain(visit.told))
    cards = st.container()
    pages = -(-len(visit.entries) // CARDS_A_PAGE)
    page = st.pagination(pages, key=f"cards page {visit.rounds}") if pages > 1 else 1
    with cards:
        for entry in visit.entries[(page - 1) * CARDS_A_PAGE : page * CARDS_A_PAGE]:
            card(entry, names)

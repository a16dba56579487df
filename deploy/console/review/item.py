"""One product before its reviewer: pictures, what seller and model say, and a key beside each answer."""

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from deploy.console.predictions.detail import Answer, Detail
from deploy.console.predictions.product import DECISIONS, bar, path, show_pictures, where
from deploy.console.predictions.shelf_picker import search
from deploy.console.review.reviewing import LONGEST_NOTE, Claim
from deploy.console.review.visit import Visit, note_key
from deploy.console.text import plain
from worker.contract.verdicts import Decision

#: the level of verdicts
FINEST = 3
#: candidates that are shown, each with its rank for a key
MOST_CANDIDATES = 5
NO_PICTURE = "Without a picture nobody can tell: skip it."
#: has Enter leave a note, so that the next key is a verdict, for which Streamlit itself has nothing
LEAVE = """<script>document.onkeydown = event => {
    if (event.key === "Enter" && event.target.closest('[class*="st-key-note-"]')) event.target.blur()
}</script>"""


def item(visit: Visit, claim: Claim, found: Detail) -> None:
    """Show a product that is before the reviewer."""
    pictures, told = st.columns([2, 3], gap="medium")
    with pictures:
        can_see = show_pictures(claim.product_id)
        st.caption(f"Product [{claim.product_id}](predictions?product={claim.product_id})")
        st.html(LEAVE, unsafe_allow_javascript=True)
    with told:
        answer = found.answer(claim.model_id)
        if answer is None:
            st.warning("Its prediction is gone from the store: skip it.")
        else:
            shown = Item(visit, claim, found, answer, None if can_see else NO_PICTURE)
            shown.search() if visit.is_searching else shown.keys()
        st.text_input(
            "Note",
            claim.note,
            LONGEST_NOTE,
            key=note_key(claim),
            placeholder="a note, if there is more to say; Enter leaves it",
            label_visibility="collapsed",
            persist_state="session",  # until there is a verdict, whatever page is looked at meanwhile
        )
        if not visit.is_searching:  # else they would take the first letters for theirs
            with st.container(horizontal=True, vertical_alignment="center"):
                _key(visit, claim, "Skip", "K", Decision.SKIPPED)
                undo_key(visit)


def undo_key(visit: Visit) -> None:
    """Show the key that takes the last verdict back, and what that is."""
    if not visit.done:
        st.button("Undo", shortcut="U", disabled=True)
        return
    last = visit.done[-1]
    # of this verdict alone, so that a key that is hit twice takes back one
    st.button("Undo", shortcut="U", key=f"U-{last.claim.product_id}", on_click=visit.undo, args=(last,))
    st.caption(f"the last: {last.claim.product_id}, {DECISIONS[last.decision]}")


@dataclass(frozen=True, slots=True)
class Item:
    """What is shown of a product that has a prediction."""

    visit: Visit
    claim: Claim
    found: Detail
    answer: Answer
    #: why no verdict can be given; None when it can
    problem: str | None

    def keys(self) -> None:
        """Show what the seller and the model say, with a key beside each; O for what neither says."""
        key, shelf = _beside()
        with key:
            self._key("Seller right", "S", self.answer.listed_category_id, self.problem or self._seller_problem())
        with shelf:
            where(self.answer.listed_category_id, self.found)
        for rank, scored in enumerate(self.answer.candidates[:MOST_CANDIDATES], start=1):
            key, shelf = _beside()
            label, shortcut = ("Model right", "M") if rank == 1 else ("This one", str(rank))
            with key:
                self._key(label, shortcut, scored[0], self.problem or self._model_problem())
            with shelf:
                bar(scored, self.found, " :orange-badge[seller]" * (scored[0] == self.answer.listed_category_id))
                if rank == 1:
                    path(scored[0], self.found)
        key, _ = _beside()
        key.button(
            "Another shelf",
            shortcut="O",
            key=f"O-{self.claim.product_id}",
            width="stretch",
            on_click=self.visit.search,
            args=(self.claim, True),
            disabled=self.problem is not None,
            help=self.problem,
        )

    def search(self) -> None:
        """Show a search for the shelf that is right, in place of the keys."""
        st.markdown("**Which shelf is right?**")
        search("review", self._pick, FINEST, focus=True)
        st.button("Back", shortcut="Esc", on_click=self.visit.search, args=(self.claim, False))

    def _pick(self, category_id: int) -> None:
        self.visit.decide(self.claim, self._says(category_id), category_id, by_search=True)

    def _says(self, category_id: int | None) -> Decision:
        if category_id == self.answer.candidates[0][0]:
            return Decision.MODEL
        return Decision.SELLER if category_id == self.answer.listed_category_id else Decision.OTHER

    def _seller_problem(self) -> str | None:
        listed = self.answer.listed_category_id
        if listed is None:
            return "The seller named no shelf."
        if listed not in self.found.shelves or self.found.shelves[listed].level != FINEST:
            return f"The tree has no shelf {listed} at level {FINEST}."
        if self._says(listed) is Decision.MODEL:
            return "Seller and model say the same: M if they are right."
        return None

    def _model_problem(self) -> str | None:
        if self.answer.level == FINEST:
            return None
        return f"{plain(self.answer.model)} stops at level {self.answer.level}, and verdicts are of level {FINEST}."

    def _key(self, label: str, shortcut: str, category_id: int | None, problem: str | None) -> None:
        _key(self.visit, self.claim, label, shortcut, self._says(category_id), category_id, problem)


def _beside() -> list[DeltaGenerator]:
    return st.columns([1, 3], vertical_alignment="center")


def _key(
    visit: Visit,
    claim: Claim,
    label: str,
    shortcut: str,
    decision: Decision,
    category_id: int | None = None,
    problem: str | None = None,
) -> None:
    st.button(
        label,
        # of this product alone, so that a key that is hit twice says nothing about the next
        key=f"{shortcut}-{claim.product_id}",
        shortcut=shortcut,
        width="content" if decision is Decision.SKIPPED else "stretch",
        on_click=visit.decide,
        args=(claim, decision, category_id),
        disabled=problem is not None,
        help=problem,
    )

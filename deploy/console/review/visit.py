"""What the session of one reviewer holds, and what their keys do to it."""

from dataclasses import dataclass, field

import streamlit as st

from deploy.console import resources
from deploy.console.review.queue import Waiting, Walk
from deploy.console.review.reviewing import LONGEST_NOTE, Claim, Done, NotYours, Reviewing, clean
from worker.contract.verdicts import Decision


@st.cache_resource(show_spinner=False)
def reviewing() -> Reviewing:
    """Return the table of verdicts, for writing."""
    return Reviewing(resources.settings().database_url)


@dataclass(slots=True)
class Visit:
    """A reviewer in one tab of their browser."""

    reviewer: str = ""
    walk: Walk | None = None
    #: what is before them
    claim: Claim | None = None
    #: the last one last; what was undone is out of it
    done: list[Done] = field(default_factory=list)
    is_searching: bool = False
    #: what they should know of their last key, in a sentence
    notice: str = ""

    def go_on(self, waiting: Waiting) -> None:
        """Claim the next product, unless one of this queue is before them; None may be left."""
        if self.walk is None or self.walk.waiting != waiting:
            self.walk, self.claim = Walk(self.reviewer, waiting), None
        if self.claim is None:
            self.is_searching = False
            self.walk.skipped = {each.claim.product_id for each in self.done if each.decision is Decision.SKIPPED}
            self.claim = reviewing().next(self.walk)

    def decide(self, claim: Claim, decision: Decision, category_id: int | None = None) -> None:
        """Store a verdict on what was before them when the key was shown; a key that is hit twice counts once."""
        if claim != self.claim:
            return
        self.notice = ""
        note = clean(st.session_state.get(note_key(claim), ""), LONGEST_NOTE)
        try:
            self.done.append(reviewing().decide(self.reviewer, claim, decision, category_id, note))
        except NotYours as error:
            self.notice = str(error)
        self.claim = None

    def undo(self) -> None:
        """Put the last product before them again."""
        self.notice, self.is_searching = "", False
        try:
            self.claim = reviewing().undo(self.reviewer, self.done[-1])
        except NotYours as error:
            self.notice = str(error)
        self.done.pop()

    def search(self, begin: bool) -> None:
        """Begin to search for another shelf, or end it."""
        self.is_searching = begin


def note_key(claim: Claim) -> str:
    """Return the key of the box for the note on a product."""
    return f"note-{claim.product_id}"

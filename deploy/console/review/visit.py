"""What the session of one reviewer holds, and what their keys do to it."""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime

import streamlit as st

from deploy.console import resources
from deploy.console.predictions.detail import Detail, detail
from deploy.console.review.queue import Waiting, Walk
from deploy.console.review.reviewing import LONGEST_NOTE, Claim, Done, NotYours, Reviewing, clean
from worker.contract.errors import Unavailable
from worker.contract.verdicts import Decision

logger = logging.getLogger("console")


@st.cache_resource(show_spinner=False)
def reviewing() -> Reviewing:
    """Return the table of verdicts, for writing."""
    return Reviewing(resources.Store(resources.settings().database_url))


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
    #: the last that was looked up
    found: tuple[Claim, Detail] | None = None

    def begin(self, name: str) -> None:
        """Begin as the reviewer of this name, who may take back what they decided today."""
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.done, self.reviewer = reviewing().last(name, midnight), name

    def go_on(self, waiting: Waiting) -> None:
        """Claim the next product, unless one of this queue is before them; None may be left."""
        if self.walk is None or self.walk.waiting != waiting:
            self.walk, self.claim = Walk(self.reviewer, waiting), None
        if self.claim is None:
            self.is_searching = False
            self.walk.skipped = {each.claim.product_id for each in self.done if each.decision is Decision.SKIPPED}
            self.claim = reviewing().next(self.walk)

    def look(self, claim: Claim) -> Detail:
        """Return what the store knows of what is before them: asked once, it stays when the store goes away."""
        if self.found is None or self.found[0] != claim:
            with resources.store().begin() as connection:
                self.found = claim, detail(connection, claim.product_id)
        return self.found[1]

    def decide(self, claim: Claim, decision: Decision, category_id: int | None = None, by_search: bool = False) -> None:
        """Store a verdict on what was before them when the key was shown; a key that is hit twice counts once.

        `by_search`: the key is of the search. While that opens, the letters of its first word are no verdicts.
        """
        if claim != self.claim or by_search != self.is_searching:
            return
        self.notice = ""
        note = clean(st.session_state.get(note_key(claim), ""), LONGEST_NOTE)
        try:
            self.done.append(reviewing().decide(self.reviewer, claim, decision, category_id, note))
        except NotYours as error:
            self.notice = str(error)
        except Unavailable as error:
            self._try_again(error)
            return
        self.claim = None

    def undo(self, shown: Done) -> None:
        """Put the last product before them again, which is the one of the key: hit twice, it takes back one."""
        if self.is_searching or self.done[-1:] != [shown]:
            return
        self.notice = ""
        try:
            self.claim = reviewing().undo(self.reviewer, shown)
        except NotYours as error:
            self.notice = str(error)
        except Unavailable as error:
            self._try_again(error)
            return
        self.done.pop()

    def search(self, claim: Claim, begin: bool) -> None:
        """Begin to search for another shelf than was shown, or end it."""
        if claim == self.claim:
            self.is_searching = begin

    def _try_again(self, error: Unavailable) -> None:
        """Tell that the store is away; what is before them stays, with its note."""
        logger.warning("%s", error)
        self.notice = f"nothing was stored, hit the key again when this is mended: {error}"


def note_key(claim: Claim) -> str:
    """Return the key of the box for the note on a product."""
    return f"note-{claim.product_id}"

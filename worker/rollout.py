"""How a new model is tried out: on which share of the products, in the stable model's stead or beside it."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from worker.outcome import Outcome, Side

#: the version label of the model on trial
CANARY = "canary"
#: what a float holds of a hash without rounding it up to 1
BITS = 53


@dataclass(frozen=True, slots=True)
class Answered:
    """How a version on trial has done with the products in its share."""

    version: int | None
    #: that were stored or known, by whichever model
    products: int = 0
    #: those of them that it has answered itself
    answered: int = 0


@dataclass(frozen=True, slots=True)
class Rollout:
    """A trial of the model labelled canary, or none."""

    #: of the products in the share
    side: Side = Side.STABLE
    #: of all products, 0 to 1
    share: float = 0.0
    #: that it is a trial of; None for whichever is labelled canary
    version: int | None = None

    @classmethod
    def from_text(cls, text: str | None) -> Self:
        """Read what `to_text` wrote. Whatever else it is means no trial: it must not stop a page."""
        try:
            side, share, *version = (text or "").split()
            found = cls(Side(side), float(share), *map(int, version))
        except (ValueError, TypeError):
            return cls()
        return found if found.side is not Side.STABLE and 0 < found.share <= 1 else cls()

    @property
    def mode(self) -> str:
        """In the words of `shelver-worker rollout`: off, canary or shadow."""
        return "off" if self.side is Side.STABLE else self.side.value

    def includes(self, product_id: int) -> bool:
        """Return whether a product is in the share; whoever is in a share is in every larger one."""
        return place(product_id) < self.share

    def is_of(self, version: int) -> bool:
        """Return whether it is a trial of this version."""
        return self.version in (None, version)

    def count(self, outcome: Outcome) -> Answered:
        """Count what of a page it should have answered, and what it has."""
        answered = outcome.beside.answered if outcome.beside else set()
        return Answered(self.version, sum(map(self.includes, outcome.answered | answered)), len(answered))

    def to_text(self) -> str:
        """Return it as Redis keeps it."""
        return f"{self.side} {self.share!r}" + (f" {self.version}" if self.version is not None else "")

    def told(self, canary: int | None) -> str:
        """Return it for people who are to know when the label canary, on this version, has moved since it began."""
        if self.side is Side.STABLE or canary is None or self.is_of(canary):
            return str(self)
        return f"{self}, of version {self.version}; canary is version {canary} now: run it again"

    def __str__(self) -> str:
        return self.mode if self.side is Side.STABLE else f"{self.mode}, {100 * self.share:.6g} % of the products"


OFF = Rollout()


def place(product_id: int) -> float:
    """Return where a product stands from 0 to below 1: evenly spread, the same in every process and for ever."""
    digest = blake2b(product_id.to_bytes(8, "big", signed=True), digest_size=8, person=b"rollout").digest()
    return (int.from_bytes(digest, "big") >> (64 - BITS)) / float(2**BITS)

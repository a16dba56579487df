"""How a new model is tried out: on which share of the products, in the stable model's stead or beside it."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from worker.outcome import Side

#: the version label of the model on trial
CANARY = "canary"
#: what a float holds of a hash without rounding it up to 1
BITS = 53


@dataclass(frozen=True, slots=True)
class Rollout:
    """A trial of the model labelled canary, or none."""

    #: of the products in the share
    side: Side = Side.STABLE
    #: of all products, 0 to 1
    share: float = 0.0

    @classmethod
    def from_text(cls, text: str | None) -> Self:
        """Read what `to_text` wrote. Whatever else it is means no trial: it must not stop a page."""
        side, _, share = (text or "").partition(" ")
        try:
            found = cls(Side(side), float(share))
        except ValueError:
            return cls()
        return found if found.side is not Side.STABLE and 0 < found.share <= 1 else cls()

    @property
    def mode(self) -> str:
        """In the words of `shelver-worker rollout`: off, canary or shadow."""
        return "off" if self.side is Side.STABLE else self.side.value

    def includes(self, product_id: int) -> bool:
        """Return whether a product is in the share; whoever is in a share is in every larger one."""
        return place(product_id) < self.share

    def to_text(self) -> str:
        """Return it as Redis keeps it."""
        return f"{self.side} {self.share!r}"

    def __str__(self) -> str:
        return self.mode if self.side is Side.STABLE else f"{self.mode}, {100 * self.share:.6g} % of the products"


OFF = Rollout()


def place(product_id: int) -> float:
    """Return where a product stands from 0 to below 1: evenly spread, the same in every process and for ever."""
    digest = blake2b(product_id.to_bytes(8, "big", signed=True), digest_size=8, person=b"rollout").digest()
    return (int.from_bytes(digest, "big") >> (64 - BITS)) / float(2**BITS)

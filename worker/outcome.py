"""What a page comes to: predictions, rejects, and products that needed nothing."""

from dataclasses import dataclass, field
from enum import StrEnum, unique

from worker.contract.messages import Page
from worker.contract.product import Product
from worker.contract.rejects import Reject


@unique
class Side(StrEnum):
    """Whom a product is asked of while a new model is tried out."""

    STABLE = "stable"
    #: the new model, in the stable one's stead
    CANARY = "canary"
    #: the new model beside the stable one: stored to be compared, and nobody's assignment
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class Prediction:
    """A product's answer from one model version."""

    product: Product
    model_version: int
    #: (category id, score) of level 3, best first
    candidates: list[tuple[int, float]]
    level2: tuple[int, float]
    level1: tuple[int, float]
    #: pictures averaged
    picture_count: int
    #: level -> the same as `candidates` of that level; empty when the answer was copied from the store
    ranked: dict[int, list[tuple[int, float]]] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """All that one side makes of a page, to be stored in one transaction."""

    page: Page
    side: Side = field(default=Side.STABLE, kw_only=True)
    predictions: list[Prediction] = field(default_factory=list)
    #: of the stable side alone
    rejects: list[Reject] = field(default_factory=list)
    #: ids that the current model already predicted from the same pictures, and its version
    known: list[int] = field(default_factory=list)
    known_version: int | None = None
    #: predictions that were copied from a product with the same pictures
    copied: int = 0
    #: pictures that the model was asked about
    pictures: int = 0
    #: of the model that was asked; None when there was nothing to ask
    model_version: int | None = None
    #: seconds by stage, waiting for a server that was away included
    seconds: dict[str, float] = field(default_factory=dict)
    #: seconds since the epoch at which its rows were; None before
    stored_at: float | None = None
    #: why -> how many products a canary or shadow was to answer and did not
    fallbacks: dict[str, int] = field(default_factory=dict)
    #: of a stable side: what the canary or shadow made of its share of the page; None when the share has none of its
    #: products, or the label canary is on a version that is not tried out
    beside: "Outcome | None" = None

    @property
    def answered(self) -> set[int]:
        """Ids of the products that have this side's prediction, a new one or one from before."""
        return {*self.known, *(each.product.id for each in self.predictions)}

"""What a page comes to: predictions, rejects, and products that needed nothing."""

from dataclasses import dataclass, field

from worker.contract.messages import Page
from worker.contract.product import Product
from worker.contract.rejects import Reject


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


@dataclass(slots=True)
class Outcome:
    """All that is to be stored for a page, in one transaction."""

    page: Page
    predictions: list[Prediction] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    #: ids that the current model already predicted from the same pictures
    known: list[int] = field(default_factory=list)

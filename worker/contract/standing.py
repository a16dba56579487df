"""Where a product stands: one word for the catalog system, ops and analysts. Imports nothing but Python's own."""

from dataclasses import dataclass
from enum import StrEnum

from worker.contract.rejects import Reason


class Status(StrEnum):
    """Where a product stands."""

    PREDICTED = "predicted"
    REJECTED = "rejected"
    #: in the catalog, with neither prediction nor reject
    PENDING = "pending"
    #: not in the catalog
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one product."""

    product_id: int
    status: Status
    #: why there is no prediction, of a rejected one
    reason: Reason | None = None
    #: the same in a sentence
    detail: str | None = None

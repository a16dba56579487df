"""A product that could not be predicted, and why. Item errors are data; only page errors are exceptions."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a product has a reject instead of a prediction, as stored in `rejects.reason`."""

    #: no document with this id in the catalog
    NOT_FOUND = "not_found"
    #: the id is not a 64-bit integer
    BAD_ID = "bad_id"
    #: the listing has no picture
    NO_PICTURES = "no_pictures"
    #: what stands where a picture belongs is not binary
    NOT_BYTES = "not_bytes"
    #: more bytes or more pixels than SHELVER_MAX_PICTURE_BYTES / SHELVER_MAX_PICTURE_PIXELS
    TOO_LARGE = "too_large"
    #: an image, but neither JPEG nor PNG
    WRONG_FORMAT = "wrong_format"
    #: damaged, truncated or no image at all
    UNDECODABLE = "undecodable"
    #: the model refuses these pictures although they decode
    REFUSED_BY_MODEL = "refused_by_model"
    #: its page killed its worker again and again, and this product was the cause
    POISON = "poison"


@dataclass(frozen=True, slots=True)
class Reject:
    """A product without a prediction."""

    product_id: int
    reason: Reason
    #: one sentence for the person who looks at it; names the picture where one is at fault
    detail: str

"""A product as the catalog stores it: one MongoDB document, or one document of a BSON dump."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from worker.contract.fields import Fields, value_at
from worker.contract.rejects import Reason

#: An id that is an integer travels as that integer; any other travels as its text, to be rejected by name.
ProductId = int | str

INT64_LIMIT = 2**63

#: of every dump, and of a catalog that was restored from one
DUMP_FIELDS = Fields()


class DocumentError(Exception):
    """The document is no product that could be predicted; says why in the terms of a reject."""

    def __init__(self, reason: Reason, detail: str):
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Product:
    """A listing with its pictures as stored, still encoded."""

    id: int
    #: JPEG or PNG bytes in catalog order; None where the document holds something that is not bytes
    pictures: tuple[bytes | None, ...]
    #: the shelf its seller chose; None for new listings without one
    category_id: int | None = None
    #: BLAKE2b-128 over the pictures in order, each with its length: the same bytes, the same fingerprint
    fingerprint: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute the fingerprint, once: it is asked for again and again."""
        object.__setattr__(self, "fingerprint", _fingerprint(self.pictures))

    @classmethod
    def from_document(cls, document: Mapping[str, Any], fields: Fields = DUMP_FIELDS) -> Self:
        """Read `{_id, category_id?, imgs: [{picture}]}`, or the same in other `fields`.

        Raises DocumentError when the id is not a 64-bit integer or there is no picture field at all. Single
        pictures that are not bytes stay in place as None: the sound ones beside them can still be used.
        """
        identity = to_product_id(value_at(document, fields.id))
        if isinstance(identity, str):
            raise DocumentError(Reason.BAD_ID, f"{fields.id} is {identity}, not a 64-bit integer")
        images = value_at(document, fields.picture_list)
        if not isinstance(images, list | tuple):
            found = "missing" if images is None else f"a {type(images).__name__}, not a list"
            raise DocumentError(Reason.NO_PICTURES, f"{fields.picture_list} is {found}")
        if not images:
            raise DocumentError(Reason.NO_PICTURES, f"{fields.picture_list} is empty")
        category, field = to_product_id(value_at(document, fields.category)), fields.picture_field
        return cls(
            identity,
            tuple(_picture(image, field) for image in images),
            category if isinstance(category, int) else None,
        )

    @property
    def picture_key(self) -> int:
        """The first 64 bits of the fingerprint, as the model's input `product`."""
        return int.from_bytes(self.fingerprint[:8], "big", signed=True)


def _fingerprint(pictures: tuple[bytes | None, ...]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for picture in pictures:
        digest.update(b"-" if picture is None else len(picture).to_bytes(8, "big"))
        digest.update(picture or b"")
    return digest.digest()


def to_product_id(value: object) -> ProductId:
    """Return an integer id as a plain int (from BSON Int64 too) and anything else as its text."""
    if isinstance(value, int) and not isinstance(value, bool) and -INT64_LIMIT <= value < INT64_LIMIT:
        return int(value)
    return f"{type(value).__name__}({str(value)[:200]!a})"


def stand_in_id(text: str) -> int:
    """Return the negative number under which an id that is not an integer is kept in `rejects`.

    The store's key is a 64-bit integer. The catalog's ids are positive, so a stable hash below zero keeps such a
    listing visible without meeting a real product. The id as written is in the reject's detail.
    """
    return -1 - (
        int.from_bytes(hashlib.blake2b(text.encode(errors="backslashreplace"), digest_size=8).digest(), "big") >> 1
    )


def _picture(image: object, field: str | None) -> bytes | None:
    picture = image if field is None else image.get(field) if isinstance(image, Mapping) else None
    return bytes(picture) if isinstance(picture, bytes) else None

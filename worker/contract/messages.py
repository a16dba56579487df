"""The one message on the queue: a page of product ids."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from worker.contract.errors import ShelverError
from worker.contract.product import ProductId, to_product_id

#: the Celery task that takes a page
TASK = "shelver.classify_page"
#: raised when the wire form changes, but not for a field that may be left out; a worker reads its own schema and does
#: not guess at others
SCHEMA = 1
#: of an id that is no integer, enough to find it by
LONGEST_TEXT_ID = 250
#: in seconds since the epoch: no moment from here on has a date
YEAR_10000 = 253_402_300_800


class Queue(StrEnum):
    """The two Redis queues; a worker takes `new` before `backfill`."""

    NEW = "new"
    BACKFILL = "backfill"


class MessageError(ShelverError):
    """The message is not a page; says what is wrong with it."""


class NewerSchema(MessageError):
    """The page is of a schema that only newer workers read: it must go back to the queue, for one of them."""


@dataclass(frozen=True, slots=True)
class Page:
    """A group of product ids that travels as one message. Pictures stay in MongoDB."""

    ids: tuple[ProductId, ...]
    queue: Queue = Queue.NEW
    #: seconds since the epoch at which the producer put it on the queue
    queued_at: float = field(default_factory=time.time)
    #: seconds since the epoch at which the oldest of them was listed or changed; None when that is not known
    listed_at: float | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form: {"schema", "ids", "queue", "queued_at"}, and "listed_at" where it is known."""
        wire = {"schema": SCHEMA, "ids": list(self.ids), "queue": self.queue.value, "queued_at": self.queued_at}
        return wire if self.listed_at is None else {**wire, "listed_at": self.listed_at}

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read what `to_wire` wrote; raises MessageError that names the field at fault, NewerSchema for a later form.

        Ids of a wrong type do not spoil the page: they come back as text and end as rejects. Nor does a `listed_at`
        that is no moment, which only metrics read: it is not known.
        """
        if not isinstance(message, Mapping):
            raise MessageError(f"a page is a JSON object, not a {type(message).__name__}")
        schema = message.get("schema")
        # Asked for its type first: of a Decimal, which kombu's JSON may hold, a comparison may raise.
        if not isinstance(schema, int) or isinstance(schema, bool) or schema != SCHEMA:
            newer = isinstance(schema, int) and schema > SCHEMA
            raise (NewerSchema if newer else MessageError)(
                f"page schema is {schema!r}; this worker reads schema {SCHEMA}"
            )
        ids, queue, queued_at = message.get("ids"), message.get("queue"), message.get("queued_at")
        if not isinstance(ids, list):
            raise MessageError(f"ids is a {type(ids).__name__}, not a list")
        if not isinstance(queue, str) or queue not in set(Queue):
            raise MessageError(f"queue is {queue!r}, not one of {', '.join(Queue)}")
        moment = _moment(queued_at)
        if moment is None:
            raise MessageError(f"queued_at is {queued_at!r}, not seconds since the epoch")
        return cls(tuple(map(_wire_id, ids)), Queue(queue), moment, _moment(message.get("listed_at")))


def _moment(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < YEAR_10000:
        return None
    return float(value)


def _wire_id(value: object) -> ProductId:
    identity = value if isinstance(value, str) else to_product_id(value)
    if isinstance(identity, int):
        return identity
    # Half a surrogate pair, which JSON may hold, is no text that a database takes. What comes out is read the same
    # when its page is sent on, in parts.
    return identity.encode(errors="backslashreplace").decode()[:LONGEST_TEXT_ID]

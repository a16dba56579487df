"""What travels over HTTP, as JSON. A field without a value is left out."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from worker.contract.messages import Queue
from worker.contract.product import INT64_LIMIT
from worker.contract.rejects import Reason
from worker.contract.standing import Status

#: in one request
MOST_IDS = 10_000

#: 64 bits, which `format` says exactly: FastAPI would round a minimum and maximum to the next float
Id = Annotated[int, Field(ge=-INT64_LIMIT, lt=INT64_LIMIT), WithJsonSchema({"type": "integer", "format": "int64"})]
#: neither true nor 1.0 nor "1"
StrictId = Annotated[Id, Field(strict=True)]
Score = Annotated[float, Field(description="a probability", ge=0, le=1)]


class Listings(BaseModel):
    """Products that are in the catalog, to be predicted."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"ids": [12345, 12346], "queue": "new"}})

    ids: list[StrictId] = Field(min_length=1, max_length=MOST_IDS, description="product ids, as in the catalog")
    queue: Queue = Field(Queue.NEW, description="new: a person waits; backfill: nobody does")


class Enqueued(BaseModel):
    """All ids are on the queue."""

    enqueued: int = Field(description="how many ids, each counted once")


class Listing(BaseModel):
    """Where a product stands."""

    id: Id
    status: Status = Field(
        description="predicted; rejected, with the reason; pending: listed, with neither; unknown: not listed"
    )
    reason: Reason | SkipJsonSchema[None] = Field(None, description="why it was rejected")
    detail: str | SkipJsonSchema[None] = Field(None, description="one sentence, where there is no prediction")


class Shelf(BaseModel):
    """A category with its names and the score it got."""

    id: Id
    name: str = Field(description="in French")
    name_en: str | SkipJsonSchema[None] = Field(None, description="in English, once translated")
    score: Score


class Model(BaseModel):
    """The model that made a prediction."""

    name: str
    version: int


class Prediction(BaseModel):
    """The newest prediction of a product."""

    id: Id
    model: Model
    predicted_at: datetime
    picture_count: int = Field(description="pictures that were looked at; unsound ones are left out")
    path: list[Shelf] = Field(min_length=3, max_length=3, description="its shelves of level 1, level 2 and level 3")
    candidates: list[Shelf] = Field(description="categories of level 3, best first")


class Health(BaseModel):
    """Which servers answer."""

    redis: bool = Field(description="holds the queues")
    mongodb: bool = Field(description="holds the listings")
    sql: bool = Field(description="holds the predictions")


class Problem(BaseModel):
    """Why a request was not carried out."""

    detail: str = Field(description="one sentence")

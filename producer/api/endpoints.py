"""The endpoints: enqueue, status, prediction, health."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BeforeValidator

from producer.api.answers import Enqueued, Health, Id, Listing, Listings, Prediction, Problem
from producer.api.predictions import latest
from producer.api.service import Service
from producer.connections import Connections
from producer.metrics import Source, counted
from producer.standings import standings
from worker.contract.standing import Status

#: why there is no prediction, where the store does not say
WHY_NOT = {
    Status.PENDING: "in the catalog, and no worker has stored a prediction yet",
    Status.UNKNOWN: "no listing in the catalog has this id",
}


def _header(name: str, kind: str) -> dict[str, Any]:
    return {"headers": {name: {"required": True, "schema": {"type": kind}}}}


RETRY_AFTER = _header("Retry-After", "integer")
REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "no token, or a wrong one", **_header("WWW-Authenticate", "string")},
    413: {"model": Problem, "description": "the body is larger than a mebibyte"},
    422: {"model": Problem, "description": "not what is described here"},
    429: {"model": Problem, "description": "too many requests from this address", **RETRY_AFTER},
    503: {"model": Problem, "description": "a server behind this one does not answer", **RETRY_AFTER},
}

# What is checked is checked by guard.BearerToken, before a body is read; this says so in the OpenAPI.
_token = HTTPBearer(scheme_name="bearerAuth", description="the value of SHELVER_API_TOKEN", auto_error=False)
router = APIRouter(responses=REFUSALS, dependencies=[Security(_token)])
open_router = APIRouter()


def _service(request: Request) -> Service:
    service: Service = request.state.service
    return service


Ask = Annotated[Service, Depends(_service)]


def _in_digits(text: object) -> object:
    if not (isinstance(text, str) and text.removeprefix("-").isdecimal() and text.isascii()):
        raise ValueError("a product id is an integer, in digits")
    return text


ProductId = Annotated[
    Id,
    BeforeValidator(_in_digits),
    Path(description="as in the catalog", openapi_examples={"a product": {"value": 12345}}),
]


@router.post(
    "/listings",
    summary="Ask for predictions",
    status_code=202,
    response_description="all of them are on the queue",
    tags=["listings"],
)
async def enqueue(listings: Listings, service: Ask) -> Enqueued:
    """Ask for predictions of products that are in the catalog.

    An id may be enqueued any number of times: it is predicted once per model and pictures. After an error, what was
    enqueued before it stays enqueued, and to send all again is harmless.
    """
    ids = dict.fromkeys(listings.ids)
    queue = listings.queue
    sent = await service.ask(lambda servers: sum(counted(servers.pages.send_all(ids, queue), queue, Source.API)))
    return Enqueued(enqueued=sent)


@router.get(
    "/listings/{id}",
    summary="Where a product stands",
    response_model_exclude_none=True,
    responses={404: {"model": Listing, "description": "no such listing in the catalog"}},
    tags=["listings"],
)
async def status(id: ProductId, service: Ask, response: Response) -> Listing:
    """Tell whether a product is predicted, rejected (with the reason) or pending; 404 when it is unknown."""
    listing = await service.ask(lambda servers: _listing(servers, id))
    if listing.status is Status.UNKNOWN:
        response.status_code = 404
    return listing


@router.get(
    "/listings/{id}/prediction",
    summary="Its latest prediction",
    response_model=Prediction,
    response_model_exclude_none=True,
    responses={404: {"model": Listing, "description": "no prediction, and where the product stands"}},
    tags=["listings"],
)
async def prediction(id: ProductId, service: Ask) -> Prediction | Response:
    """Return the latest prediction, of whichever model: its shelves of all three levels, and the ranked candidates."""
    found = await service.ask(lambda servers: _prediction(servers, id))
    if isinstance(found, Listing):
        return JSONResponse(found.model_dump(mode="json", exclude_none=True), 404)
    return found


@open_router.get(
    "/health",
    summary="Which servers answer",
    responses={503: {"model": Health, "description": "one of them does not"}},
    tags=["health"],
)
async def health(service: Ask, response: Response) -> Health:
    """Tell whether the servers behind this one answer. Needs no token, and is not counted."""
    found = await service.health()
    if not (found.redis and found.mongodb and found.sql):
        response.status_code = 503
    return found


def _listing(servers: Connections, product_id: int) -> Listing:
    found = standings(servers, [product_id])[product_id]
    detail = found.detail or WHY_NOT.get(found.status)
    return Listing(id=product_id, status=found.status, reason=found.reason, detail=detail)


def _prediction(servers: Connections, product_id: int) -> Prediction | Listing:
    with servers.database.begin() as connection:
        found = latest(connection, product_id)
    return found or _listing(servers, product_id)

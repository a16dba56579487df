"""The HTTP service as an ASGI application."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

from producer.api.endpoints import open_router, router
from producer.api.guard import HEALTH, BearerToken, BodyLimit, RateLimit, refusal
from producer.api.measuring import Measured
from producer.api.service import Service
from worker.contract.errors import ShelverError
from worker.contract.settings import Settings

logger = logging.getLogger("producer")

ABOUT = """Puts every newly listed product on the right shelf of the catalog, from its photos.

Callers show the token of this service: press Authorize, or send `Authorization: Bearer TOKEN`. Every error is
`{"detail": "one sentence"}`; after a 429 or 503, try again in `Retry-After` seconds.
"""
RETRY_SECONDS = 5
#: than what pydantic and FastAPI say
CLEARER = {
    "json_invalid": "no JSON",
    "model_attributes_type": "must be a JSON object, sent as Content-Type: application/json",
}


def build(settings: Settings) -> FastAPI:
    """Return the application; its connections are made when it is started, in the process that serves."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Service]]:
        service = Service(settings)
        yield {"service": service}
        service.close()

    app = FastAPI(
        title="Shelver",
        description=ABOUT,
        version=version("shelver"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        exception_handlers={
            ShelverError: _unavailable,
            RequestValidationError: _invalid,
            400: _no_json,  # FastAPI's own, of a body that Python's json gives up on
        },
    )
    app.openapi_version = "3.0.3"  # the highest that the bundled page reads
    # The last one added is asked first.
    app.add_middleware(BodyLimit)
    app.add_middleware(BearerToken, token=settings.api_token)
    app.add_middleware(RateLimit, requests_a_minute=settings.api_rate)
    app.add_middleware(Measured)
    app.include_router(router)
    app.include_router(open_router)
    app.get("/docs", include_in_schema=False)(_page)
    app.mount("/docs", StaticFiles(directory=swagger_ui_path))
    return app


def _page() -> HTMLResponse:
    """Return the OpenAPI page: relative addresses, nothing from elsewhere, and no one else's validator."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Shelver",
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="docs/favicon-32x32.png",
        swagger_ui_parameters={"validatorUrl": None, "defaultModelsExpandDepth": 0},
    )


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    """Answer for a server that is away; which and where it is, the log is told, and not the caller."""
    logger.warning("%s", error)
    detail = f"a server behind this one does not answer: try again; {HEALTH} says which"
    return refusal(503, detail, {"Retry-After": str(RETRY_SECONDS)})


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Say what is wrong first and how much more is, and nothing of the input, which may be long."""
    assert isinstance(error, RequestValidationError)
    first, *others = error.errors()
    place = ".".join(str(each) for each in first["loc"])[:100]
    told = CLEARER.get(first["type"]) or first["msg"][:200]
    return refusal(422, f"{place}: {told}" + (f" ({len(others):,} more problems)" if others else ""))


async def _no_json(_: Request, __: Exception) -> JSONResponse:
    return refusal(422, "body: no JSON")

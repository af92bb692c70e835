"""/v1 as an application of its own: its errors have OpenAI's form, and it is described by OpenAI's documents."""

from fastapi import FastAPI
from starlette.types import ASGIApp

from fallow.web.bounds import Bounds
from fallow.web.deps import Door
from fallow.web.openai import batches, files, models, uploads, webhooks
from fallow.web.openai.failures import handlers, refused


def build_openai(door: Door) -> ASGIApp:
    """To be mounted at /v1."""
    app = FastAPI(
        title="fallow: OpenAI's files and batches",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=handlers(),
    )
    app.state.door = door
    for router in (files.router, uploads.router, batches.router, models.router, webhooks.router):
        app.include_router(router)
    return Bounds(app, door.settings, ("/v1/files", "/v1/uploads/"), refused)

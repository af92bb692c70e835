"""The one door: every HTTP route of a server, as one ASGI application."""

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from fallow.web import (
    accounts,
    estimates,
    events,
    feeds,
    health,
    inputs,
    jobs,
    keys,
    logs,
    models,
    notices,
    objects,
    pages,
    readings,
    work,
)
from fallow.web.boinc import rest as boinc
from fallow.web.boinc.app import build_boinc
from fallow.web.boinc.attach import to_master
from fallow.web.boinc.hot import Hot
from fallow.web.bounds import Bounds
from fallow.web.deps import Door
from fallow.web.description import Describing
from fallow.web.edge import Edge
from fallow.web.failures import handlers
from fallow.web.health import VERSION
from fallow.web.openai.app import build_openai
from fallow.web.ui.site import build_site

_SAYS = (
    "Batch AI inference on idle machines. Every call but a few takes a key: Authorization: Bearer flw_... . "
    'Refusals are {"error": {"code", "message", "remedy", "details"}}.'
)


def build_app(door: Door) -> ASGIApp:
    """The application. It keeps nothing: any number of processes may serve the same rows and bytes."""
    described = _described(door)
    app = Starlette(
        routes=[
            *_plain_routes(described),
            Mount("/v1", build_openai(door)),
            *([Route("/boinc", to_master), Mount("/boinc", build_boinc(door))] if door.settings.boinc else []),
            build_site(door),
            Mount("/", Bounds(described, door.settings)),
        ]
    )
    app.exception_handlers.update(handlers())
    app.state.door = door
    return Edge(Hot(app) if door.settings.boinc else app, door.counters)


def _plain_routes(described: FastAPI) -> list[BaseRoute]:
    """Routes that are hot, or carry bytes, or are for machines: by hand, and before all others."""

    def docs(_request: Request) -> Response:
        return pages.page(described.openapi())

    return [
        Route("/api/work", work.work, methods=["POST"]),
        Route("/api/work/hello", work.hello, methods=["POST"]),
        Route("/api/work/images/{digest}", work.image, methods=["GET"]),
        Route("/bytes/{token}", objects.objects, methods=objects.METHODS),
        Route("/bytes/{token}/{name}", objects.objects, methods=objects.METHODS),
        Route("/healthz", health.healthz),
        Route("/readyz", health.readyz),
        Route("/metrics", health.metrics),
        Route("/api/version", health.about),
        Route("/docs", docs),
    ]


def _described(door: Door) -> FastAPI:
    """The submitters' calls, which describe themselves at /openapi.json."""
    app = Describing(
        title="fallow",
        description=_SAYS,
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,  # `curl -d` and the seed's clients name another type, and mean JSON
        dependencies=[Security(HTTPBearer(auto_error=False, description="An API key: flw_..."))],
        exception_handlers=handlers(),
    )
    app.state.door = door
    for router in (
        jobs.router,
        estimates.router,
        events.router,
        readings.router,
        logs.router,
        inputs.router,
        keys.router,
        models.router,
        notices.router,
        feeds.router,
        accounts.router,
        boinc.router,
    ):
        app.include_router(router)
    return app

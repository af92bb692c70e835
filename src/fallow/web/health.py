"""For machines that watch: /healthz, /readyz, /metrics, /api/version. None needs a key, none names a job."""

from importlib.metadata import version

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fallow.protocols.rest.work import PROTOCOL_VERSION
from fallow.web.counters import CONTENT_TYPE
from fallow.web.deps import door_of

VERSION = version("fallow")


async def healthz(_request: Request) -> Response:
    """The process answers."""
    return JSONResponse({"status": "ok"})


def readyz(request: Request) -> Response:
    """Rows and bytes can be reached. Raises the Refusal of the part that cannot."""
    checks = door_of(request).checks
    for check in checks.values():
        check()
    return JSONResponse({"status": "ok", "checked": sorted(checks)})


async def metrics(request: Request) -> Response:
    """Prometheus's text format."""
    body = await anyio.to_thread.run_sync(door_of(request).counters.exposition)
    return Response(body, headers={"content-type": CONTENT_TYPE})


async def about(_request: Request) -> Response:
    """GET /api/version: {"version", "protocol"}."""
    return JSONResponse({"version": VERSION, "protocol": PROTOCOL_VERSION})

"""The four requests that every task makes, answered before any router is asked.

A call, a ticket, leases, an upload: two applications' routers and their rings of middleware cost as much as the
answers. All else, and what is asked in another way (two slashes, HEAD), goes on to the application and finds the same
functions.
"""

from collections.abc import Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from fallow.core.refusals import Code, Refusal
from fallow.web.boinc import downloads, leases, scheduler, uploads
from fallow.web.failures import refused
from fallow.web.streams import SenderGone

_PREFIX: Final = "/boinc"
# The first part of the path after the prefix, the method and the number of parts.
_ROUTES: Final = {
    (route.path.split("/")[1], method, route.path.count("/")): route
    for route, method in (
        (scheduler.routes[0], "POST"),
        (uploads.routes[0], "POST"),
        (leases.routes[0], "GET"),
        (downloads.routes[1], "GET"),
    )
}


class Hot:
    """Before the whole application, which it names in the scope as that would."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _found(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        route, params = found
        scope.update(app=self._app, route=route, path_params=params)
        response = await _answer(route, Request(scope, receive, send))
        await response(scope, receive, send)


def _found(scope: Scope) -> tuple[Route, Mapping[str, str]] | None:
    """The route, and what its path's names stand for."""
    path: str = scope["path"]
    if not path.startswith(_PREFIX):
        return None
    parts = path[len(_PREFIX) :].split("/")
    if len(parts) < 2 or parts[0] or not all(parts[1:]):
        return None
    route = _ROUTES.get((parts[1], scope["method"], len(parts) - 1))
    if route is None:
        return None
    names = (each[1:-1] for each in route.path.split("/")[2:])
    return route, dict(zip(names, parts[2:], strict=True))


async def _answer(route: Route, request: Request) -> Response:
    try:
        response: Response = await route.endpoint(request)
    except Refusal as refusal:
        return refused(refusal)
    except SenderGone:
        return refused(Refusal(Code.BAD_REQUEST, "The request's body broke off.", "Send it again."))
    return response

"""The outermost ring of the door: every request gets an id, a line in the log, a place in the counters, an answer."""

import re
import secrets
import time
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fallow.web.counters import Counters
from fallow.web.failures import REQUEST_ID, internal, log_mistake, route_of

_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
_QUIET: Final = frozenset({"/api/work", "/healthz", "/readyz", "/metrics"})  # asked all the time
_log = structlog.get_logger("fallow.web")


class Edge:
    """Wraps the whole application. Logs the route's template, never the path: a path may hold a signed URL's token."""

    def __init__(self, app: ASGIApp, counters: Counters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope[REQUEST_ID] = _request_id(scope)
        started = time.perf_counter()
        status = taken = given = 0

        async def receive_counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            return message

        async def send_named(message: Message) -> None:
            nonlocal status, given
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            else:
                given += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive_counted, send_named)
        except Exception as wrong:  # noqa: BLE001  the top of a request: whatever it was, the next one is served
            log_mistake(scope, wrong)
            if not status:
                await internal(request_id)(scope, receive, send_named)
        finally:
            seconds = time.perf_counter() - started
            self._counters.request(route_of(scope), scope["method"], status, seconds, taken, given)
            self._note(scope, request_id, status, seconds)

    def _note(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        route, method = route_of(scope), scope["method"]
        say = _log.debug if route in _QUIET and status < 400 else _log.info
        say(
            "request.done",
            request_id=request_id,
            method=method,
            route=route,
            status=status,
            milliseconds=round(seconds * 1000, 2),
        )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given: str = value.decode("latin-1")
            if _ID.match(given):
                return given
    return secrets.token_hex(8)

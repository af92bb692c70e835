"""How much a JSON request may bring. Uploads stream, and are bounded where they are written."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fallow.settings import Settings
from fallow.web.failures import refused
from fallow.web.streams import too_large

_STREAMED: Final = "/api/inputs/"


class Bounds:
    """Refuses a request that says it is too long, and breaks off one that is without saying so."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._bytes_max = settings.request_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_STREAMED):
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"")
        if said.isdigit() and int(said) > self._bytes_max:
            await refused(too_large(self._bytes_max))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._bytes_max:
                raise too_large(self._bytes_max)
            return message

        await self._app(scope, counted, send)

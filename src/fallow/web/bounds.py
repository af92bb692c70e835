"""How much a JSON request may bring. Uploads stream, and are bounded where they are written."""

from collections.abc import Callable
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fallow.core.refusals import Refusal
from fallow.settings import Settings
from fallow.web.failures import refused
from fallow.web.streams import too_large

_STREAMED: Final = ("/api/inputs/",)


class Bounds:
    """Refuses a request that says it is too long, and breaks off one that is without saying so.

    streamed: how paths begin whose bodies stream. refuse: a refusal as an answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        streamed: tuple[str, ...] = _STREAMED,
        refuse: Callable[[Refusal], Response] = refused,
    ) -> None:
        self._app = app
        self._streamed = streamed
        self._refuse = refuse
        self._bytes_max = settings.request_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._streamed):
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"")
        if said.isdigit() and int(said) > self._bytes_max:
            await self._refuse(too_large(self._bytes_max))(scope, receive, send)
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

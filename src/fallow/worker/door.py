"""The server as the worker sees it: two calls, and plain words for what can go wrong."""

from typing import TypeVar

import httpx2
import msgspec

from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest import work as wire

M = TypeVar("M")
BY_STATUS = {
    401: (Code.UNAUTHENTICATED, "The server does not know this token.", "Make one with: fallow keys add --scope work"),
    403: (Code.FORBIDDEN, "This token may not work for the server.", "Use a token with the scope `work`."),
    404: (Code.NOT_FOUND, "There is no fallow server at this address.", "Check the URL after --server."),
    413: (Code.TOO_LARGE, "The server does not take a message of this size.", ""),
}


class Unreachable(Exception):
    """The server does not answer now. The message is one plain sentence."""


class Door:
    """Keeps one connection. Raises Refusal for what retrying cannot mend, Unreachable for the rest."""

    def __init__(self, server: str, token: str) -> None:
        self._server = server.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx2.Client(headers=headers, timeout=httpx2.Timeout(60.0, connect=10.0))
        self._to_welcome = msgspec.json.Decoder(wire.Welcome)
        self._to_answer = msgspec.json.Decoder(wire.Answer)
        self._to_blobs = msgspec.json.Decoder(wire.ImageBlobs)

    def hello(self, hello: wire.Hello) -> wire.Welcome:
        return self._decoded(self._to_welcome, self._call("POST", "/api/work/hello", msgspec.json.encode(hello)))

    def ask(self, ask: wire.Ask) -> wire.Answer:
        return self._decoded(self._to_answer, self._call("POST", "/api/work", msgspec.json.encode(ask)))

    def image(self, digest: str) -> wire.ImageBlobs:
        return self._decoded(self._to_blobs, self._call("GET", f"/api/work/images/{digest}", None))

    def close(self) -> None:
        self._client.close()

    def _call(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            response = self._client.request(method, self._server + path, content=body, headers=headers)
        except httpx2.InvalidURL:
            raise Refusal(Code.SETTING_INVALID, f"{self._server!r} is not a URL.", "Write http://host:port.") from None
        except httpx2.UnsupportedProtocol:
            raise Refusal(Code.SETTING_INVALID, f"{self._server!r} is not a URL.", "Write http://host:port.") from None
        except httpx2.TransportError as wrong:
            raise Unreachable(f"{self._server} cannot be reached: {wrong or type(wrong).__name__}.") from None
        if response.status_code < 300:
            return response.content
        raise self._wrong(response)

    def _wrong(self, response: httpx2.Response) -> Exception:
        status = response.status_code
        if status >= 500 or status in {408, 429}:
            return Unreachable(f"{self._server} answered {status}.")
        code, message, remedy = BY_STATUS.get(status, (Code.BAD_REQUEST, f"The server answered {status}.", ""))
        try:
            error = response.json()["error"]
            return Refusal(Code(error["code"]), str(error["message"]), str(error.get("remedy") or remedy))
        except (ValueError, KeyError, TypeError):
            return Refusal(code, message, remedy)

    def _decoded(self, decoder: msgspec.json.Decoder[M], body: bytes) -> M:
        try:
            return decoder.decode(body)
        except msgspec.DecodeError:
            raise Unreachable(f"{self._server} does not speak this worker's protocol.") from None

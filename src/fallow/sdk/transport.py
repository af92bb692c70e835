"""One connection to a server: the key, retries of what may be repeated, refusals from the wire."""

import contextlib
import random
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from fallow.core.refusals import Code, Refusal

M = TypeVar("M", bound=BaseModel)
RETRIES = 5
_WAIT_SECONDS = 0.2  # doubled each time, with jitter: 6 s in all, enough for a door process to be replaced
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_TRY_AGAIN = frozenset({429, 502, 503, 504})
_BY_STATUS = {401: Code.UNAUTHENTICATED, 403: Code.FORBIDDEN, 404: Code.NOT_FOUND, 413: Code.TOO_LARGE}


class Transport:
    """Raises Refusal for everything that goes wrong: with the server's own code, or SERVER_UNREACHABLE."""

    def __init__(self, server: str, token: str, timeout_seconds: float = 60.0) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        timeout = httpx2.Timeout(timeout_seconds, connect=min(10.0, timeout_seconds))
        self.server = server.rstrip("/")
        try:
            self._http = httpx2.Client(base_url=self.server, headers=headers, timeout=timeout)
            known = self._http.base_url.scheme in ("http", "https") and self._http.base_url.host
        except (httpx2.InvalidURL, UnicodeError, ValueError):
            known = ""
        if not known:
            raise Refusal(Code.SETTING_INVALID, f"{server!r} is not a server's URL.", "Write http://HOST:PORT.")

    def close(self) -> None:
        self._http.close()

    def ask(self, kind: type[M], method: str, path: str, body: BaseModel | None = None, **query: Any) -> M:
        """One call whose answer is a message of this kind."""
        content = body.model_dump_json(exclude_unset=True).encode() if body is not None else None
        answer = self.send(method, path, content=content, query=query)
        return decoded(kind, answer.content)

    def send(
        self,
        method: str,
        path: str,
        *,
        content: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
        repeatable: bool = False,
    ) -> httpx2.Response:
        """The whole answer. A call that may be repeated is, when the connection fails; others only before it stood.

        repeatable: says so of a call whose method does not."""
        request_headers = {"content-type": "application/json"} if isinstance(content, bytes) else {}
        request_headers |= headers or {}
        for attempt in range(RETRIES + 1):
            last = attempt == RETRIES or not retry
            try:
                answer = self._http.request(method, path, content=content, params=_said(query), headers=request_headers)
            except httpx2.ConnectError as wrong:
                if last:
                    raise self._unreachable(wrong) from None
            except httpx2.TransportError as wrong:
                if last or not (repeatable or method in _IDEMPOTENT):
                    raise self._unreachable(wrong) from None
            else:
                if last or answer.status_code not in _TRY_AGAIN:
                    return checked(answer)
            pause(attempt)
        raise AssertionError("the last attempt returns or raises")

    @contextlib.contextmanager
    def stream(
        self,
        path: str,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        silence_seconds: float | None = None,
    ) -> Iterator[httpx2.Response]:
        """An answer whose body is read piece by piece."""
        timeout = httpx2.Timeout(60.0, connect=10.0) if silence_seconds is None else httpx2.Timeout(silence_seconds)
        try:
            with self._http.stream(
                "GET", path, params=_said(query), headers=dict(headers or {}), timeout=timeout
            ) as got:
                if got.status_code >= 400:
                    got.read()
                yield checked(got)
        except httpx2.TransportError as wrong:
            raise self._unreachable(wrong) from None

    def _unreachable(self, wrong: Exception) -> Refusal:
        return Refusal(
            Code.SERVER_UNREACHABLE,
            f"The server {self.server} cannot be reached: {str(wrong) or type(wrong).__name__}.",
            "Is it running? Check --server or FALLOW_SERVER.",
        )


def pause(attempt: int) -> None:
    """Waits before the next try; longer each time, and never all callers at once."""
    time.sleep(_WAIT_SECONDS * 2**attempt * random.uniform(0.5, 1.0))


def checked(answer: httpx2.Response) -> httpx2.Response:
    """The answer, unless it is a refusal; then that is raised."""
    if answer.status_code < 400:
        return answer
    code = _BY_STATUS.get(answer.status_code, Code.BAD_REQUEST)
    try:
        error = answer.json()["error"]
        message, remedy = str(error["message"]), str(error.get("remedy") or "")
        details = dict(error.get("details") or {})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(code, f"The server answered {answer.status_code}.", "Is this a fallow server?") from None
    details["status"] = answer.status_code
    try:
        code = Code(error["code"])
    except ValueError:
        details["code"] = str(error["code"])  # of a newer server, or "internal"
    raise Refusal(code, message, remedy, details)


def decoded(kind: type[M], body: bytes) -> M:
    """The message. What a newer server adds is left out."""
    try:
        return kind.model_validate_json(body, extra="ignore")
    except ValidationError as wrong:
        raise Refusal(
            Code.BAD_REQUEST,
            f"The server's answer is not a {kind.__name__} ({wrong.error_count()} members are wrong).",
            "Is this a fallow server of this version? See fallow version.",
        ) from None


def _said(query: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (query or {}).items() if value is not None and value != ()}

"""GET /boinc/download/...: the runner, and the tickets of tasks in BOINC's hierarchy of 1024 directories.

A client gives a file up for good when it hears 404, so that is said only of names that were never ours; what is ours
and cannot be had now is 503. The bytes behind a name never change.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from fallow.artifacts.ranges import Span, span_of
from fallow.core.refusals import Code, Refusal
from fallow.protocols.boinc import names
from fallow.web.deps import Door, door_of
from fallow.web.failures import refused

_RETRY_SECONDS: Final = 60
_PUBLIC: Final = "public, max-age=31536000, immutable, no-transform"
_PRIVATE: Final = "private, max-age=86400, immutable, no-transform"
_TAG: Final = re.compile(r'"[^"]*"|\*')


@dataclass(frozen=True, slots=True)
class _File:
    """etag: changes when the bytes do. body: so many bytes from an offset, all at once or piece by piece; raises at the
    call when there are none."""

    size_bytes: int
    etag: str
    cached: str
    body: Callable[[int, int], bytes | Iterator[bytes]]


async def program(request: Request) -> Response:
    """A version of the runner."""
    return await _answered(request, _program)


async def ticket(request: Request) -> Response:
    """A task's input file, in the one directory that its name says. One that was made a moment ago needs no thread."""
    if door_of(request).boinc.tickets.kept(request.path_params["name"]) is not None:
        return _answer(request, _ticket)
    return await _answered(request, _ticket)


async def _answered(request: Request, found: Callable[[Door, Request], _File]) -> Response:
    return await anyio.to_thread.run_sync(lambda: _answer(request, found))


def _answer(request: Request, found: Callable[[Door, Request], _File]) -> Response:
    try:
        return _served(request, found(door_of(request), request))
    except Refusal as refusal:
        if refusal.code is Code.STORAGE_UNREACHABLE:
            return _later()
        return refused(refusal)


def _program(door: Door, request: Request) -> _File:
    name = _safe(request)
    row = door.boinc.versions.file(name)
    if row is None:
        raise _never_ours()

    def body(start: int, length: int) -> Iterator[bytes]:
        return door.places.artifacts.get(row.artifact_key, start, length)

    return _File(row.size_bytes, f'"{row.sha256}"', _PUBLIC, body)


def _ticket(door: Door, request: Request) -> _File:
    name = _safe(request)
    if request.path_params["directory"] != names.directory_of(name):
        raise _never_ours()
    data = door.boinc.tickets.bytes_of(name)
    return _File(
        len(data), f'"{sha256(data).hexdigest()}"', _PRIVATE, lambda start, length: data[start : start + length]
    )


def _safe(request: Request) -> str:
    name: str = request.path_params["name"]
    if not names.is_safe(name):
        raise _never_ours()
    return name


def _served(request: Request, file: _File) -> Response:
    headers = {
        "accept-ranges": "bytes",
        "cache-control": file.cached,
        "content-type": "application/octet-stream",
        "etag": file.etag,
        "x-content-type-options": "nosniff",
    }
    if _holds(request.headers.get("if-none-match"), file.etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    asked = request.headers.get("range") if request.headers.get("if-range") in (None, file.etag) else None
    span = span_of(asked, file.size_bytes)
    part = span or Span(0, file.size_bytes)
    headers["content-length"] = str(part.length)
    if span is not None:
        headers["content-range"] = f"bytes {span.start}-{span.start + span.length - 1}/{file.size_bytes}"
    try:
        body = file.body(part.start, part.length)
    except Refusal as refusal:
        if refusal.code is Code.NOT_FOUND:  # a row says that it is ours
            return _later()
        raise
    status = HTTPStatus.OK if span is None else HTTPStatus.PARTIAL_CONTENT
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    if isinstance(body, bytes):
        return Response(body, status, headers)
    return StreamingResponse(body, status, headers)


def _holds(if_none_match: str | None, etag: str) -> bool:
    """Whether the caller has these bytes already (RFC 9110, 13.1.2)."""
    return if_none_match is not None and any(each in ("*", etag) for each in _TAG.findall(if_none_match))


def _later() -> Response:
    answer = refused(Refusal(Code.STORAGE_UNREACHABLE, "The file cannot be read now.", "Come again in a minute."))
    answer.headers["retry-after"] = str(_RETRY_SECONDS)
    return answer


def _never_ours() -> Refusal:
    return Refusal(Code.NOT_FOUND, "There is no such file.")


_METHODS: Final = ["GET", "HEAD"]
routes: Final = [
    Route("/download/{name}", program, methods=_METHODS),
    Route("/download/{directory}/{name}", ticket, methods=_METHODS),
]

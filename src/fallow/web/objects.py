"""/bytes/{token}: what a signed URL opens. Whoever holds one needs no key."""

from collections.abc import Iterator

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from fallow.artifacts.served import Received, Reply
from fallow.artifacts.signing import Grant
from fallow.web.deps import Door, door_of
from fallow.web.streams import body_pieces, in_upload_thread

METHODS = ["GET", "HEAD", "PUT", "POST"]
_RESUMABLE_BYTES = 256 * 1024  # a shorter upload that breaks off is simply sent again


async def objects(request: Request) -> Response:
    """One object: read whole or in part, written whole or in pieces.

    PUT and POST take a Content-Range. An upload that breaks off is kept as far as it came: HEAD gives Upload-Offset,
    from where the next PUT goes on.
    """
    door, name = door_of(request), request.path_params.get("name", "")
    grant = door.places.signer.open(request.path_params["token"], door.clock.now(), request.method)
    if request.method in ("PUT", "POST"):
        return uploaded(await receive_upload(door, request, grant, name))
    if request.method == "HEAD" and grant.verb == "PUT":
        return upload_offset(await anyio.to_thread.run_sync(door.served.upload_size, grant, name))
    reply = await anyio.to_thread.run_sync(door.served.read_range, grant, request.headers.get("range"), name)
    return _answer(request, reply)


async def receive_upload(
    door: Door, request: Request, grant: Grant, name: str = "", account_id: str | None = None
) -> Received:
    """The body, or with a Content-Range the next piece of it. Raises what Served.receive() raises, or SenderGone."""
    piece = request.headers.get("content-range") or _whole_as_piece(request.headers.get("content-length"))
    pieces = body_pieces(request.receive)
    return await in_upload_thread(lambda: door.served.receive(grant, pieces, piece, name), account_id)


def uploaded(received: Received) -> Response:
    """201 when the object is whole, 202 when more of it is awaited."""
    says = {"size_bytes": received.size_bytes, "sha256": received.sha256}
    headers = {"upload-offset": str(received.size_bytes)}
    return JSONResponse(says, 201 if received.complete else 202, headers)


def upload_offset(received: Received) -> Response:
    """The answer to HEAD: how much is there."""
    return Response(status_code=200, headers={"upload-offset": str(received.size_bytes), "cache-control": "no-store"})


def _whole_as_piece(length: str | None) -> str | None:
    """A long body is taken as the one piece of itself, so that a cut leaves what came."""
    if length is None or not length.isdigit() or int(length) < _RESUMABLE_BYTES:
        return None
    return f"bytes 0-{int(length) - 1}/{int(length)}"


def _answer(request: Request, reply: Reply) -> Response:
    headers = {name.lower(): value for name, value in reply.headers.items()}
    headers["x-content-type-options"] = "nosniff"
    if request.headers.get("if-none-match") == headers.get("etag"):
        return Response(status_code=304, headers={"etag": headers["etag"]})
    if request.method == "HEAD":
        return Response(status_code=reply.status, headers=headers)
    body: Iterator[bytes] = reply.body
    return StreamingResponse(body, reply.status, headers)

"""What jobs leave behind: results while they run, outputs, logs."""

from collections.abc import Callable, Iterator

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from fallow.artifacts.ranges import span_of
from fallow.web.deps import NamedJob, TheDoor, Who
from fallow.web.streams import in_pieces

router = APIRouter(prefix="/api/jobs/{job_id}", tags=["outputs"])
Reader = Callable[[int, int | None], Iterator[bytes]]
_TYPES = {".jsonl": "application/jsonl", ".json": "application/json"}


@router.api_route("/output/{name}", methods=["GET", "HEAD"], response_class=StreamingResponse)
def output(door: TheDoor, who: Who, job_id: NamedJob, name: str, request: Request) -> Response:
    """output.jsonl, errors.jsonl or manifest.json of a finished job, whole or by Range."""
    finished_at = door.views.job(who, job_id).finished_at or 0
    size, reader = door.results.output(who, job_id, name)
    media_type = _TYPES.get(name[name.rfind(".") :], "application/octet-stream")
    return _ranged(request, size, reader, f'"{finished_at:x}-{size:x}"', media_type)


@router.api_route("/attempts/{attempt_id}/log", methods=["GET", "HEAD"], response_class=StreamingResponse)
def log(door: TheDoor, who: Who, job_id: NamedJob, attempt_id: int, request: Request) -> Response:
    """What the attempt's container wrote to stderr, whole or by Range."""
    size, reader = door.results.log(who, job_id, min(max(attempt_id, 0), 2**53))
    return _ranged(request, size, reader, f'"{attempt_id:x}-{size:x}"', "text/plain; charset=utf-8")


def _ranged(request: Request, size: int, reader: Reader, etag: str, media_type: str) -> Response:
    """All of it or the one range that was asked for (RFC 9110, 13 and 14). Raises Refusal RANGE_NOT_SATISFIABLE."""
    headers = {"etag": etag, "accept-ranges": "bytes", "x-content-type-options": "nosniff"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    same = request.headers.get("if-range", etag) == etag
    span = span_of(request.headers.get("range") if same else None, size)
    start, length = (span.start, span.length) if span else (0, size)
    headers["content-length"] = str(length)
    if span:
        headers["content-range"] = f"bytes {start}-{start + length - 1}/{size}"
    status = 206 if span else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(in_pieces(reader(start, length)), status, headers, media_type)

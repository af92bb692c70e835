"""What jobs leave behind: results while they run, outputs, logs."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from fallow.artifacts.ranges import span_of
from fallow.control.callers import Caller
from fallow.control.results import Content
from fallow.core.lifecycle import JOB_OVER
from fallow.web.deps import Door, NamedJob, TheDoor, Who
from fallow.web.jobs import After
from fallow.web.streams import in_pieces
from fallow.web.waiting import WaitSeconds, waited

router = APIRouter(prefix="/api/jobs/{job_id}", tags=["outputs"])
_TYPES: Final = {".jsonl": "application/jsonl", ".json": "application/json"}
_PAGE_BYTES: Final = 4 * 1024 * 1024  # a page is held in memory, because its cursor goes before it
_HEAD: Final = len(b'{"item":')


@router.get("/results", response_class=Response)
async def results(
    door: TheDoor,
    who: Who,
    job_id: NamedJob,
    request: Request,
    after: After = -1,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 1000,
    wait_seconds: WaitSeconds = 0.0,
) -> Response:
    """Answers so far as JSON lines {"item", "output"}, in item order and without gaps.

    A page ends before the first item that is not answered yet. x-fallow-next is what to give as `after` for the next
    page; x-fallow-over is true when the job is over and this was the last one. wait_seconds: how long the call may last
    while there is no line to give and the job is not over.
    """
    return await waited(door, request, wait_seconds, partial(_results, door, who, job_id, after, limit))


def _results(door: Door, who: Caller, job_id: str, after: int, limit: int) -> tuple[Response, bool]:
    """The page, and whether it is worth an answer now."""
    row = door.views.job(who, job_id)
    over = row.state in JOB_OVER
    first = row.spec.input.range.start if row.spec.input.range else 0
    lines = door.results.lines(who, job_id, after, limit)
    page, following, more = _page(lines, after, max(first, after + 1), gaps=over)
    last = over and not more and len(page) < limit
    headers = {"x-fallow-next": str(following), "x-fallow-over": str(last).lower(), "cache-control": "no-store"}
    return Response(b"".join(page), 200, headers, "application/jsonl"), bool(page) or last


def _page(lines: Iterator[bytes], after: int, expected: int, *, gaps: bool) -> tuple[list[bytes], int, bool]:
    """The lines, the last item among them, and whether the page was full. gaps: items that no line will ever come for
    are skipped."""
    page: list[bytes] = []
    size = 0
    for line in lines:
        item = int(line[_HEAD : line.index(b",")])
        if item != expected and not gaps:
            return page, after, False
        page.append(line)
        size += len(line)
        after, expected = item, item + 1
        if size >= _PAGE_BYTES:
            return page, after, True
    return page, after, False


@router.head("/output/{name}", include_in_schema=False)
@router.get("/output/{name}", response_class=StreamingResponse)
def output(door: TheDoor, who: Who, job_id: NamedJob, name: str, request: Request) -> Response:
    """output.jsonl, errors.jsonl or manifest.json of a finished job, whole or by Range."""
    media_type = _TYPES.get(name[name.rfind(".") :], "application/octet-stream")
    return ranged(request, door.results.output(who, job_id, name), media_type)


@router.head("/attempts/{attempt_id}/log", include_in_schema=False)
@router.get("/attempts/{attempt_id}/log", response_class=StreamingResponse)
def log(door: TheDoor, who: Who, job_id: NamedJob, attempt_id: int, request: Request) -> Response:
    """What the attempt's container wrote to stderr, whole or by Range."""
    content = door.results.log(who, job_id, min(max(attempt_id, 0), 2**53))
    return ranged(request, content, "text/plain; charset=utf-8")


def ranged(request: Request, content: Content, media_type: str) -> Response:
    """All of it or the one range that was asked for (RFC 9110, 13 and 14). Raises Refusal RANGE_NOT_SATISFIABLE."""
    etag = '"' + content.etag.strip('"') + '"'
    headers = {"etag": etag, "accept-ranges": "bytes", "x-content-type-options": "nosniff"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    same = request.headers.get("if-range", etag) == etag
    span = span_of(request.headers.get("range") if same else None, content.size_bytes)
    start, length = (span.start, span.length) if span else (0, content.size_bytes)
    headers["content-length"] = str(length)
    if span:
        headers["content-range"] = f"bytes {start}-{start + length - 1}/{content.size_bytes}"
    status = 206 if span else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(in_pieces(content.read(start, length)), status, headers, media_type)

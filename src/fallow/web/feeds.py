"""Feeds: items that are appended to a job while it runs, and the answers of single pieces as soon as they are there."""

from functools import partial
from typing import Annotated, Final

import anyio.to_thread
from fastapi import APIRouter, Query, Request, Response

from fallow.control.callers import Caller
from fallow.core.lifecycle import JOB_OVER
from fallow.protocols.rest.jobs import FeedView, moment
from fallow.store.port import FeedRow
from fallow.web.deps import Door, NamedJob, TheDoor, Who
from fallow.web.streams import bounded_body
from fallow.web.waiting import WaitSeconds, waited

router = APIRouter(prefix="/api/jobs/{job_id}", tags=["feeds"])
_NUMBER_MAX: Final = 2**31
_ITEM_MAX: Final = 2**53
_ITEMS_MAX: Final = 500
_PAGE_BYTES: Final = 4 * 1024 * 1024

_LINES: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/jsonl": {"schema": {"type": "string", "description": "JSON lines."}}},
    }
}
Number = Annotated[int, Query(ge=0, le=_NUMBER_MAX, description="Of this append; the first is 0.")]
Items = Annotated[list[Annotated[int, Query(ge=0, le=_ITEM_MAX)]], Query(min_length=1, max_length=_ITEMS_MAX)]


@router.post("/items", openapi_extra=_LINES)
async def append(door: TheDoor, who: Who, job_id: NamedJob, number: Number, request: Request) -> FeedView:
    """Append items to a feed, as JSON lines. To repeat an append is harmless; one that skips a number is refused."""
    lines = await bounded_body(request.receive, door.settings.request_bytes_max)
    row = await anyio.to_thread.run_sync(door.feeds.append, who, job_id, number, lines)
    door.ring("planner")
    return feed_view(row)


@router.post("/close")
def close(door: TheDoor, who: Who, job_id: NamedJob) -> FeedView:
    """No more items will come: what came is finished, and then the job is."""
    view = feed_view(door.feeds.close(who, job_id))
    door.ring("planner")
    return view


@router.get("/answers", response_class=Response)
async def answers(
    door: TheDoor, who: Who, job_id: NamedJob, request: Request, items: Items, wait_seconds: WaitSeconds = 0.0
) -> Response:
    """Answers from each of these items on, as far as their chunks are over: JSON lines {"item", "output"}.

    Each item begins a run of lines that ends with its chunk, so that answers need not come in order. A run that is not
    there yet, or for which this answer has no room, is asked for again. x-fallow-over: whether the job is over.
    wait_seconds: how long the call may last while there is no line to give and the job is not over.
    """
    return await waited(door, request, wait_seconds, partial(_answers, door, who, job_id, items))


def _answers(door: Door, who: Caller, job_id: str, items: list[int]) -> tuple[Response, bool]:
    """The lines, and whether they are worth an answer now."""
    over = door.views.job(who, job_id).state in JOB_OVER  # looked at first: what is over then has all its answers
    body = b"".join(door.results.runs(who, job_id, items, _PAGE_BYTES))
    headers = {"x-fallow-over": str(over).lower(), "cache-control": "no-store"}
    return Response(body, 200, headers, "application/jsonl"), bool(body) or over


def feed_view(row: FeedRow) -> FeedView:
    return FeedView(parts=row.parts, size_bytes=row.size_bytes, closed_at=moment(row.closed_at))

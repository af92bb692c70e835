"""The log of a running attempt, followed: GET /api/jobs/{job_id}/attempts/{attempt_id}/log/live."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from fallow.control.callers import Caller
from fallow.control.live_logs import Glimpse
from fallow.web.deps import Door, NamedJob, TheDoor, Who
from fallow.web.waiting import WaitSeconds, waited

NUMBER_MAX = 2**53
router = APIRouter(prefix="/api/jobs/{job_id}", tags=["outputs"])
Written = Annotated[int, Query(ge=0, le=NUMBER_MAX, description="How many bytes of the log are known already.")]


@router.get("/attempts/{attempt_id}/log/live", response_class=Response)
async def live_log(
    door: TheDoor,
    who: Who,
    job_id: NamedJob,
    attempt_id: int,
    request: Request,
    after: Written = 0,
    wait_seconds: WaitSeconds = 0.0,
) -> Response:
    """What an attempt writes to stderr, as it runs. Whoever asks makes its worker tell, from its next heartbeat on.

    Of a running attempt the newest 64 KiB are there. x-fallow-start is how many bytes were written before those of the
    answer: more than `after` when some are missing between. x-fallow-next is what to give as `after` next;
    x-fallow-over is true when the attempt is over and this was the last of its log. wait_seconds: how long the call may
    last while there is nothing new.
    """
    number = min(max(attempt_id, 0), NUMBER_MAX)
    return await waited(door, request, wait_seconds, partial(_looked, door, who, job_id, number, after))


def _looked(door: Door, who: Caller, job_id: str, attempt_id: int, after: int) -> tuple[Response, bool]:
    found = door.live_logs.look(who, job_id, attempt_id, after)
    return glimpsed(found), bool(found.part.data) or found.over


def glimpsed(found: Glimpse) -> Response:
    """The bytes as text, and in the headers where they are from."""
    headers = {
        "x-fallow-start": str(found.part.start),
        "x-fallow-next": str(found.next),
        "x-fallow-over": str(found.over).lower(),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
    }
    return Response(found.part.data, 200, headers, "text/plain; charset=utf-8")

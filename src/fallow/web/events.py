"""GET /api/jobs/{job_id}/events: a job's story as it happens, as server-sent events (WHATWG HTML, 9.2)."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Final

import anyio
import anyio.to_thread
from fastapi import APIRouter, Header
from starlette.responses import StreamingResponse

from fallow.control.callers import Caller
from fallow.core.lifecycle import JOB_OVER
from fallow.store.port import StoryRow
from fallow.web.deps import Door, NamedJob, TheDoor, Who
from fallow.web.jobs import After
from fallow.web.messages import story_line
from fallow.web.streams import lookers

router = APIRouter(prefix="/api", tags=["jobs"])
_POLL_SECONDS: Final = 0.5
_POLL_SECONDS_IDLE: Final = 2.0  # after a while of silence; one cheap query each
_KEEP_ALIVE_POLLS: Final = 8
_LASTS_SECONDS: Final = 900.0  # then the caller comes back, and is asked again who it is
_ROWS: Final = 500


@router.get("/jobs/{job_id}/events", response_class=StreamingResponse)
def events(
    door: TheDoor,
    who: Who,
    job_id: NamedJob,
    after: After = 0,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> StreamingResponse:
    """Story rows as they are written, then `event: over` when the job is over. Last-Event-ID resumes: after a cut, and
    after a quarter of an hour, when the stream ends by itself."""
    door.views.job(who, job_id)
    start = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else after
    stream = _stream(door, who, job_id, min(max(start, 0), 2**53))
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(stream, 200, headers, "text/event-stream")


async def _stream(door: Door, who: Caller, job_id: str, after: int) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    quiet = 0
    until = anyio.current_time() + _LASTS_SECONDS
    while not door.closing.is_set() and anyio.current_time() < until:
        over, rows = await anyio.to_thread.run_sync(partial(_look, door, who, job_id, after), limiter=lookers())
        if rows:
            after, quiet = rows[-1].story_id, 0
            yield b"".join(map(_event, rows))
            continue
        if over:
            yield b"event: over\ndata: {}\n\n"
            return
        quiet += 1
        if quiet % _KEEP_ALIVE_POLLS == 0:
            yield b": still here\n\n"
        await anyio.sleep(_POLL_SECONDS if quiet < 2 * _KEEP_ALIVE_POLLS else _POLL_SECONDS_IDLE)


def _look(door: Door, who: Caller, job_id: str, after: int) -> tuple[bool, list[StoryRow]]:
    """Whether the job was over, and then the rows: in this order, a row of the last moment is not missed."""
    over = door.views.job(who, job_id).state in JOB_OVER
    return over, door.views.events(who, job_id, after, _ROWS)


def _event(row: StoryRow) -> bytes:
    return f"id: {row.story_id}\nevent: {row.kind}\ndata: {story_line(row).model_dump_json()}\n\n".encode()

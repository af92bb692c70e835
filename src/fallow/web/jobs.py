"""The submitters' calls: jobs and their verbs, chunks, attempts, workers. The seed's four calls are among them."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Response

from fallow.control.callers import Caller
from fallow.control.volunteering import heard_since
from fallow.core.words import ChunkId, ChunkState, JobState
from fallow.protocols.rest.jobs import (
    AttemptList,
    ChunkList,
    JobDetail,
    JobList,
    JobRequest,
    JobSummary,
    Story,
    WorkerList,
)
from fallow.store.port import JobRow
from fallow.web.deps import Door, NamedJob, Reader, TheDoor, Who
from fallow.web.messages import attempt_view, chunk_view, job_detail, job_summary, story_line, worker_view
from fallow.web.models import submission_for

CHUNKS_IN_DETAIL = 1000
_NUMBER_MAX = 2**53
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
After = Annotated[int, Query(ge=-1, le=_NUMBER_MAX, description="The `next` of the page before.")]
JobAfter = Annotated[str | None, Query(max_length=128, pattern="^[A-Za-z0-9._-]+$", description="The page's `next`.")]
ChunkNumber = Annotated[int | None, Query(ge=0, le=_NUMBER_MAX)]

router = APIRouter(prefix="/api", tags=["jobs"])


@router.post("/jobs", status_code=201)
def submit(door: TheDoor, who: Who, request: JobRequest) -> JobDetail:
    """Submit a job. The seed's fields alone are enough."""
    row = door.intake.submit(who, submission_for(door, who, request))
    door.counters.submitted()
    door.ring("planner")
    return _detail(door, who, row)


@router.get("/jobs")
def jobs(
    door: TheDoor,
    who: Reader,
    after: JobAfter = None,
    limit: Limit = 100,
    state: Annotated[list[JobState], Query()] = [],  # noqa: B006  FastAPI copies the default
) -> JobList:
    """Jobs, newest first."""
    rows, following = door.views.jobs(who, after, limit, tuple(state))
    return JobList(jobs=[job_summary(row) for row in rows], next=following)


@router.get("/jobs/{job_id}")
def job(
    door: TheDoor,
    who: Reader,
    job_id: NamedJob,
    chunks: Annotated[int, Query(ge=0, le=1000, description="How many chunks at most.")] = CHUNKS_IN_DETAIL,
) -> JobDetail:
    """One job with its first chunks; `chunks=0` is for those who look often."""
    return _detail(door, who, door.views.job(who, job_id), chunks)


@router.post("/jobs/{job_id}/pause")
def pause(door: TheDoor, who: Who, job_id: NamedJob) -> JobSummary:
    """Send no more of it; what runs may finish."""
    return _done(door.jobs.pause, who, job_id)


@router.post("/jobs/{job_id}/resume")
def resume(door: TheDoor, who: Who, job_id: NamedJob) -> JobSummary:
    """Go on with a paused job."""
    return _done(door.jobs.resume, who, job_id)


@router.post("/jobs/{job_id}/cancel")
def cancel(door: TheDoor, who: Who, job_id: NamedJob) -> JobSummary:
    """Stop it. What is finished stays readable."""
    return _done(door.jobs.cancel, who, job_id)


@router.post("/jobs/{job_id}/rerun")
def rerun(door: TheDoor, who: Who, job_id: NamedJob) -> JobSummary:
    """Run again what is missing or failed, and only that."""
    return _done(door.jobs.rerun, who, job_id)


@router.delete("/jobs/{job_id}", status_code=204)
def delete(door: TheDoor, who: Who, job_id: NamedJob) -> Response:
    """Remove a job that is over, with everything fallow keeps of it."""
    door.jobs.delete(who, job_id)
    return Response(status_code=204)


@router.get("/jobs/{job_id}/chunks")
def chunks(
    door: TheDoor,
    who: Who,
    job_id: NamedJob,
    after: After = -1,
    limit: Limit = 100,
    state: Annotated[list[ChunkState], Query()] = [],  # noqa: B006
) -> ChunkList:
    """Chunks in the order of their numbers."""
    rows, following = door.views.chunks(who, job_id, after, limit, tuple(state))
    return ChunkList(chunks=[chunk_view(row) for row in rows], next=following)


@router.get("/jobs/{job_id}/attempts")
def attempts(door: TheDoor, who: Who, job_id: NamedJob, after: After = 0, limit: Limit = 100) -> AttemptList:
    """All attempts of a job, oldest first."""
    return _attempts(door, who, job_id, None, after, limit)


@router.get("/jobs/{job_id}/chunks/{chunk_id}/attempts")
def attempts_of_chunk(
    door: TheDoor, who: Who, job_id: NamedJob, chunk_id: int, after: After = 0, limit: Limit = 100
) -> AttemptList:
    """All attempts at one chunk, oldest first."""
    return _attempts(door, who, job_id, min(max(chunk_id, -1), _NUMBER_MAX), after, limit)


@router.get("/jobs/{job_id}/story")
def story(
    door: TheDoor, who: Who, job_id: NamedJob, chunk: ChunkNumber = None, after: After = 0, limit: Limit = 1000
) -> Story:
    """Every move of a job, or of one chunk and its attempts; and why nothing is being sent, if so."""
    rows, waiting, following = door.views.story(who, job_id, _chunk(chunk), after, limit)
    return Story(lines=[story_line(row) for row in rows], why_waiting=waiting, next=following)


@router.get("/workers")
def workers(door: TheDoor, who: Reader) -> WorkerList:
    """The machines that have joined."""
    now = door.clock.now()
    rows = door.views.workers(who)
    return WorkerList(workers=[worker_view(row, heard_since(row, now, door.settings), now) for row in rows])


def _detail(door: Door, who: Caller, row: JobRow, chunks: int = CHUNKS_IN_DETAIL) -> JobDetail:
    why = door.views.why_waiting(row)
    if chunks == 0:
        return job_detail(row, [], -1 if row.counters.chunks_total else None, why)
    rows, following = door.views.chunks(who, row.job_id, -1, chunks)
    return job_detail(row, rows, following, why)


def _done(verb: Callable[[Caller, str], JobRow], who: Caller, job_id: str) -> JobSummary:
    return job_summary(verb(who, job_id))


def _attempts(door: Door, who: Caller, job_id: str, chunk_id: int | None, after: int, limit: int) -> AttemptList:
    rows, following = door.views.attempts(who, job_id, _chunk(chunk_id), max(after, 0), limit)
    return AttemptList(attempts=[attempt_view(row) for row in rows], next=following)


def _chunk(number: int | None) -> ChunkId | None:
    return None if number is None else ChunkId(number)

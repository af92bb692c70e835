"""Chunks, attempts and cases for the tests, with one line each."""

from fallow.core.chunk import Artifact, Attempt, Case, Chunk, Extent
from fallow.core.words import AttemptId, AttemptState, ChunkId, ChunkState, FailureClass, JobKey, Micros, WorkerId

NOW = Micros(1_700_000_000_000_000)
JOB = JobKey(1)
ARTIFACT = Artifact("objects/a", "0" * 64, 10)


def chunk(
    items: int = 10,
    *,
    start: int = 100,
    state: ChunkState = ChunkState.OPEN,
    wanted: int = 1,
    prior: int = 0,
    skip: int = 0,
) -> Chunk:
    """A chunk of job 1 with the items start..start+items-1."""
    return Chunk(
        job_key=JOB,
        chunk_id=ChunkId(7),
        state=state,
        version=1,
        item_start=start,
        item_count=items,
        extent=Extent(1000, 500, skip, "ab"),
        answers_wanted=wanted,
        prior_errors=prior,
    )


def attempt(
    number: int,
    state: AttemptState,
    blame: FailureClass | None = None,
    *,
    deadline: int | None = None,
    done: int = 0,
    bad: int | None = None,
    artifact: Artifact | None = None,
) -> Attempt:
    """Attempt `number` of chunk 7, by worker w-`number`."""
    return Attempt(
        attempt_id=AttemptId(number),
        job_key=JOB,
        chunk_id=ChunkId(7),
        state=state,
        worker_id=WorkerId(f"w-{number}"),
        deadline=None if deadline is None else Micros(deadline),
        failure_class=blame,
        code=f"code_{number}" if blame else "",
        message=f"Message {number}." if blame else "",
        items_done=done,
        bad_item=bad,
        artifact=artifact,
    )


def errored(number: int, blame: FailureClass, **more: object) -> Attempt:
    """An attempt that failed."""
    return attempt(number, AttemptState.ERRORED, blame, **more)  # type: ignore[arg-type]


def case(of: Chunk, *attempts: Attempt) -> Case:
    """A case with these attempts, oldest first."""
    return Case(of, list(attempts))

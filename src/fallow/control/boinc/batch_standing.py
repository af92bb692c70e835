"""How BOINC batches and their jobs stand, from the rows of the jobs and chunks that they are."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import msgspec

from fallow.core.boinc_batches import MASKS, BatchFacts, BatchState, JobError, JobFacts, JobStatus
from fallow.core.lifecycle import JOB_OVER
from fallow.core.words import ChunkState, JobState
from fallow.store.port import BoincBatchRow, JobRow, StandingRow, Tx

PAGE: Final = 1000
ABORTED_FAULT: Final = "cancelled"
_ERRORS: Final = {
    ABORTED_FAULT: JobError.CANCELLED,
    "too_many_attempts": JobError.TOTAL,
    "no_agreement": JobError.SUCCESSES,
}


def batch_facts(tx: Tx, row: BoincBatchRow, *, cpu: bool) -> BatchFacts:
    """cpu: whether processor seconds are wanted."""
    if row.final:
        kept = msgspec.json.decode(row.final, type=BatchFacts)
        return kept if cpu else replace(kept, cpu_seconds=None)
    job = tx.job_by_key(row.job_key) if row.job_key is not None else None
    good, bad = _ended(tx, row, job)
    seconds, credit = tx.boinc_batch_sums(job.job_key) if job else (0.0, 0.0)
    over = job is not None and job.state in JOB_OVER
    return BatchFacts(
        batch_id=row.batch_id,
        name=row.name,
        app_name=row.app_name,
        state=_state(row, job),
        created_at=row.created_at // 1_000_000,
        expire_at=row.expire_at // 1_000_000,
        completed_at=(job.finished_at or 0) // 1_000_000 if job and over else 0,
        jobs=row.job_count,
        fraction_done=(good + bad) / row.job_count if row.job_count else 0.0,
        errors=bad,
        credit=credit,
        cpu_seconds=seconds if cpu else None,
    )


def jobs_of(tx: Tx, row: BoincBatchRow) -> Iterator[JobFacts]:
    """All jobs of a batch, in order."""
    job = tx.job_by_key(row.job_key) if row.job_key is not None else None
    after = -1
    while page := tx.boinc_jobs_standing(row.batch_id, after, PAGE):
        for standing in page:
            yield job_facts(standing, job)
        after = page[-1].job.place


def job_facts(standing: StandingRow, job: JobRow | None) -> JobFacts:
    """How one job stands. job: that of its batch."""
    if standing.job.final:
        return msgspec.json.decode(standing.job.final, type=JobFacts)
    error = _error(standing, job)
    if error is not None:
        status = JobStatus.ERROR
    elif standing.state is ChunkState.DONE:
        status = JobStatus.DONE
    elif standing.is_out or standing.state is ChunkState.VERIFYING:
        status = JobStatus.IN_PROGRESS
    else:
        status = JobStatus.QUEUED
    return JobFacts(
        job_id=standing.job.boinc_job_id,
        name=standing.job.name,
        canonical_id=standing.canonical_id,
        status=status,
        errors=(error,) if error else (),
        exit_status=standing.exit_code,
        cpu_seconds=standing.cpu_seconds,
    )


def mask_of(facts: JobFacts) -> int:
    return sum(MASKS[each] for each in facts.errors)


def _error(standing: StandingRow, job: JobRow | None) -> JobError | None:
    if standing.state is ChunkState.DONE:
        return JobError.ERRORS if standing.item_errors else None
    if standing.state is ChunkState.FAILED:
        return _ERRORS.get(standing.fault_code or "", JobError.ERRORS)
    if standing.state is ChunkState.CANCELLED or standing.job.aborted_at is not None:
        return JobError.CANCELLED
    if job is not None and job.state in JOB_OVER:
        return JobError.CANCELLED if job.state is not JobState.FAILED else JobError.ERRORS
    return None


def _ended(tx: Tx, row: BoincBatchRow, job: JobRow | None) -> tuple[int, int]:
    """(jobs that are done, jobs that never will be)."""
    if job is None:
        return 0, 0
    counted = job.counters
    good = counted.items_done - counted.items_error
    if job.state in JOB_OVER:
        return good, row.job_count - good
    return good, counted.items_bad + counted.chunks_cancelled + tx.boinc_aborts_pending(row.batch_id)


def _state(row: BoincBatchRow, job: JobRow | None) -> BatchState:
    if row.retired_at is not None or (job is None and row.job_key is not None):  # or its job was deleted
        return BatchState.RETIRED
    if job is None:
        return BatchState.INIT
    if job.state is JobState.CANCELLED:
        return BatchState.ABORTED
    return BatchState.COMPLETE if job.state in JOB_OVER else BatchState.IN_PROGRESS

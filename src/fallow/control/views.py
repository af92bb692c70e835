"""Views: what people may see. Other people's jobs are not there."""

from collections.abc import Sequence

from fallow.control.callers import Caller
from fallow.control.refused import no_such_job
from fallow.control.scheduler import Scheduler
from fallow.core.refusals import Code, Refusal
from fallow.core.words import AttemptId, ChunkId, ChunkState, JobKey, JobState
from fallow.store.port import AttemptRow, ChunkRow, JobRow, Store, StoryRow, WorkerRow

_LIMIT_MAX = 1000


class Views:
    """Reads only. Pages: `after` is the last thing of the page before; the second value is the next page's, or None."""

    def __init__(self, store: Store, scheduler: Scheduler) -> None:
        self._store = store
        self._scheduler = scheduler

    def jobs(
        self, caller: Caller, after: str | None, limit: int, states: Sequence[JobState] = ()
    ) -> tuple[list[JobRow], str | None]:
        """Newest first. Raises Refusal NOT_FOUND for an `after` that is no job of theirs."""
        before: JobKey | None = self.job(caller, after).job_key if after else None
        limit = _bounded(limit)
        if caller.is_worker:
            return [], None
        account = None if caller.sees_all else caller.account_id
        with self._store.reading() as tx:
            rows = tx.jobs(account_id=account, before=before, limit=limit + 1, states=states)
        return rows[:limit], rows[limit - 1].job_id if len(rows) > limit else None

    def job(self, caller: Caller, job_id: str) -> JobRow:
        """Raises Refusal NOT_FOUND."""
        with self._store.reading() as tx:
            job = tx.job(job_id)
        if job is None or not caller.sees(job.account_id):
            raise no_such_job(job_id)
        return job

    def chunks(
        self, caller: Caller, job_id: str, after: int, limit: int, states: Sequence[ChunkState] = ()
    ) -> tuple[list[ChunkRow], int | None]:
        """In order of chunk id, ids greater than `after`."""
        job = self.job(caller, job_id)
        limit = _bounded(limit)
        with self._store.reading() as tx:
            rows = tx.chunk_rows(job.job_key, after, limit + 1, states)
        return rows[:limit], rows[limit - 1].case.chunk.chunk_id if len(rows) > limit else None

    def attempts(
        self, caller: Caller, job_id: str, chunk_id: int | None, after: int, limit: int
    ) -> tuple[list[AttemptRow], int | None]:
        """Of one chunk, or of the whole job; ids greater than `after`."""
        job = self.job(caller, job_id)
        limit = _bounded(limit)
        with self._store.reading() as tx:
            if chunk_id is None:
                rows = tx.attempts_of_job(job.job_key, AttemptId(after), limit + 1)
            else:
                self._chunk(tx.chunk_row(job.job_key, ChunkId(chunk_id)), chunk_id)
                rows = [r for r in tx.attempt_rows(job.job_key, ChunkId(chunk_id)) if r.attempt.attempt_id > after]
        return rows[:limit], rows[limit - 1].attempt.attempt_id if len(rows) > limit else None

    def _chunk(self, row: ChunkRow | None, chunk_id: int) -> ChunkRow:
        if row is None:
            raise Refusal(Code.NOT_FOUND, f"The job has no chunk {chunk_id}.", "See fallow job.")
        return row

    def workers(self, caller: Caller) -> list[WorkerRow]:
        """Operators and submitters see all; somebody who only owns workers sees their own."""
        with self._store.reading() as tx:
            rows = tx.workers()
        everybody = caller.sees_all or "submit" in caller.scopes
        return [row for row in rows if everybody or row.account_id == caller.account_id]

    def story(
        self, caller: Caller, job_id: str, chunk_id: int | None, after: int, limit: int
    ) -> tuple[list[StoryRow], list[str], int | None]:
        """The moves of a job or of one chunk and its attempts, and why it is waiting now, if it is."""
        job = self.job(caller, job_id)
        limit = _bounded(limit)
        chunk = ChunkId(chunk_id) if chunk_id is not None else None
        why: list[str] = []
        with self._store.reading() as tx:
            if chunk is not None:
                row = self._chunk(tx.chunk_row(job.job_key, chunk), chunk)
                waits = row.case.chunk.state in (ChunkState.PLANNED, ChunkState.OPEN) and not row.leased
            else:
                waits = True
            rows = tx.story(job.job_key, chunk_id=chunk, after=after, limit=limit + 1)
        if waits:
            why = self.why_waiting(job)
        return rows[:limit], why, rows[limit - 1].story_id if len(rows) > limit else None

    def why_waiting(self, job: JobRow) -> list[str]:
        """See Scheduler.why_waiting."""
        return self._scheduler.why_waiting(job)

    def events(self, caller: Caller, job_id: str, after: int, limit: int) -> list[StoryRow]:
        """All moves of a job, its chunks and attempts, with numbers greater than `after`."""
        job = self.job(caller, job_id)
        with self._store.reading() as tx:
            return tx.job_events(after, _bounded(limit), job.job_key)


def _bounded(limit: int) -> int:
    return max(1, min(limit, _LIMIT_MAX))

"""The job verbs: pause, resume, cancel, rerun, delete. Large jobs are swept by the janitor, in steps."""

from fallow.control.callers import Caller
from fallow.control.places import Places
from fallow.control.refused import no_such_job
from fallow.core.lifecycle import JOB_OVER, IllegalMove, JobEvent
from fallow.core.refusals import Code, Refusal
from fallow.core.words import InputFormat, JobState, Scope
from fallow.store.port import JobRow, Store, Tx

_STEP = 1000


class Jobs:
    """Each verb gives the job as it is afterwards. Raises Refusal NOT_FOUND (also for other people's) or
    STATE_CONFLICT."""

    def __init__(self, store: Store, places: Places) -> None:
        self._store = store
        self._places = places

    def pause(self, caller: Caller, job_id: str) -> JobRow:
        """Nothing more is leased; what runs may finish."""
        return self._move(caller, job_id, JobEvent.PAUSE)

    def resume(self, caller: Caller, job_id: str) -> JobRow:
        return self._move(caller, job_id, JobEvent.RESUME)

    def cancel(self, caller: Caller, job_id: str) -> JobRow:
        """Nothing more is leased, and what runs is stopped; finished chunks stay readable."""
        with self._store.transaction() as tx:
            job = self._moved(tx, caller, job_id, JobEvent.CANCEL)
            tx.cancel_chunks(job.job_key, _STEP, self._places.clock.now(), caller.by)
        return self._again(job)

    def rerun(self, caller: Caller, job_id: str) -> JobRow:
        """Only what is missing or failed runs again; finished chunks are kept."""
        with self._store.transaction() as tx:
            job = self._moved(tx, caller, job_id, JobEvent.RERUN)
            tx.reopen_batch(job.job_key)
            now = self._places.clock.now()
            while tx.reopen_chunks(job.job_key, _STEP, now, caller.by):
                pass
        return self._again(job)

    def delete(self, caller: Caller, job_id: str) -> None:
        """Rows and artifacts of a job that is over. What it delivered to a place of the submitter's stays there."""
        job = self._own(caller, job_id)
        if job.state not in JOB_OVER:
            raise Refusal(Code.STATE_CONFLICT, f"The job is {job.state}.", "Cancel it first.")
        if is_unpublished(self._store, job):
            raise Refusal(Code.STATE_CONFLICT, "The batch's files are being written.", "Try again in a moment.")
        if not erase(self._store, self._places, job):
            raise Refusal(Code.STATE_CONFLICT, "The job was run again this moment.", "Cancel it first.")

    def _move(self, caller: Caller, job_id: str, event: JobEvent) -> JobRow:
        with self._store.transaction() as tx:
            job = self._moved(tx, caller, job_id, event)
        return self._again(job)

    def _moved(self, tx: Tx, caller: Caller, job_id: str, event: JobEvent) -> JobRow:
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        job = tx.job(job_id)
        if job is None or not _may(caller, job):
            raise no_such_job(job_id)
        try:
            tx.move_job(job.job_key, event, f"asked for by {caller.by}", caller.by, self._places.clock.now())
        except IllegalMove:
            raise Refusal(
                Code.STATE_CONFLICT, f"A job that is {job.state} cannot {event}.", "See fallow job " + job_id + "."
            ) from None
        return job

    def _own(self, caller: Caller, job_id: str) -> JobRow:
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        with self._store.reading() as tx:
            job = tx.job(job_id)
        if job is None or not _may(caller, job):
            raise no_such_job(job_id)
        return job

    def _again(self, job: JobRow) -> JobRow:
        with self._store.reading() as tx:
            return tx.job_by_key(job.job_key) or job


def _may(caller: Caller, job: JobRow) -> bool:
    return caller.sees_all or job.account_id == caller.account_id


def is_unpublished(store: Store, job: JobRow) -> bool:
    """Whether the job is a batch whose files are yet to be written, out of what the job has left."""
    if job.spec.input.format is not InputFormat.BATCH or job.finished_at == 0:
        return False
    with store.reading() as tx:
        batch = tx.batch(job.job_key)
    return batch is not None and batch.published_at is None


def erase(store: Store, places: Places, job: JobRow) -> bool:
    """Everything fallow itself holds of a job: objects first, so that no row goes before its bytes. False, and nothing
    done, for one that runs again by now.

    Whoever dies half-way leaves a retired job behind, which the janitor erases to the end.
    """
    with store.transaction() as tx:
        tx.retire_job(job.job_key)
        now = tx.job_by_key(job.job_key)
    if now is not None and now.finished_at != 0:
        return False
    places.artifacts.delete(head.key for head in places.artifacts.list(f"jobs/{job.job_id}"))
    while True:
        with store.transaction() as tx:
            if tx.delete_job(job.job_key, _STEP):
                return True


OVER_STATES = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED)

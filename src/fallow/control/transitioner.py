"""The transitioner: what time brings. Leases run out, jobs expire, a job whose chunks are all over is merged."""

from fallow.clock import Clock
from fallow.control.work import apply_settled
from fallow.core.changes import Change
from fallow.core.lifecycle import JobEvent
from fallow.core.settling import settle
from fallow.core.words import JobState, Kind, Micros
from fallow.settings import Settings
from fallow.store.port import JobRow, Store, Tx

_BATCH = 200
_MAY_EXPIRE = (JobState.PLANNING, JobState.RUNNING, JobState.PAUSED)


class Transitioner:
    """One step looks at a batch of each."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, owner: str) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._owner = owner

    def step(self) -> bool:
        """True when there was something to do."""
        expired = self._expire_leases()
        finished = self._finish_job()
        return expired or finished

    def _expire_leases(self) -> bool:
        now = self._clock.now()
        with self._store.transaction() as tx:
            late = tx.expired(now, _BATCH)
            changes: list[Change] = []
            for case in tx.cases(late) if late else ():
                job = tx.job_by_key(case.chunk.job_key)
                if job is not None:
                    changes.extend(settle(case, job.spec, now))
            apply_settled(tx, changes, now, "transitioner")
        return bool(late)

    def _finish_job(self) -> bool:
        """A running job with nothing left to wait for is merged."""
        now = self._clock.now()
        with self._store.transaction() as tx:
            until = Micros(now + int(self._settings.claim_seconds * 1e6))
            job = tx.claim_job("finish", self._owner, now, until)
            if job is None:
                return False
            tx.move_job(job.job_key, JobEvent.MERGE, "every chunk is over", "transitioner", now)
            tx.batch_finalizing(job.job_key, now)
            tx.release_claim(job.job_key, self._owner)
        return True

    def expire_jobs(self) -> bool:
        """Jobs past their own time; what they finished stays readable."""
        now = self._clock.now()
        with self._store.transaction() as tx:
            rows = tx.jobs(account_id=None, before=None, limit=1000, states=_MAY_EXPIRE)
            over = [job for job in rows if _is_over(tx, job, now)]
            for job in over:
                reason = f"it was not done within {job.spec.expires_seconds} s"
                tx.move_job(job.job_key, JobEvent.EXPIRE, "its time is over", "transitioner", now, reason=reason)
        return bool(over)


def _is_over(tx: Tx, job: JobRow, now: Micros) -> bool:
    """Whether the job's time is over, counted from its submission, from when it was last asked to run again, and for a
    feed from when it was last fed."""
    if job.spec.expires_seconds is None:
        return False
    micros = job.spec.expires_seconds * 1_000_000
    if job.created_at + micros > now:
        return False
    return max(_last_asked_at(tx, job), _last_fed_at(tx, job)) + micros <= now


def _last_fed_at(tx: Tx, job: JobRow) -> Micros:
    """When a feed last got items, or was closed."""
    feed = tx.feed(job.job_key) if job.spec.feed else None
    return max(feed.fed_at, feed.closed_at or feed.fed_at) if feed else job.created_at


def _last_asked_at(tx: Tx, job: JobRow) -> Micros:
    latest, after = job.created_at, 0
    while rows := tx.story(job.job_key, after=after):
        after = rows[-1].story_id
        latest = max([latest, *(row.at for row in rows if row.kind is Kind.JOB and row.event == JobEvent.RERUN)])
    return latest

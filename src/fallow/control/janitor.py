"""The janitor: sweeps what is over. Chunks of cancelled jobs, jobs past their retention, live logs nobody needs."""

from fallow.control.jobs import OVER_STATES, erase, is_unpublished
from fallow.control.places import Places
from fallow.core.words import JobKey, Micros
from fallow.settings import Settings
from fallow.store.port import JobRow, Store

_STEP = 1000
_PAGE = 200


class Janitor:
    """One step sweeps one thing."""

    def __init__(self, store: Store, places: Places, settings: Settings, owner: str) -> None:
        self._store = store
        self._places = places
        self._settings = settings
        self._owner = owner
        self._looked_at: JobKey | None = None

    def step(self) -> bool:
        """True when there was something to do."""
        return self._sweep_chunks() or self._erase_old() or self._sweep_logs()

    def _sweep_chunks(self) -> bool:
        """Chunks that are not over although their job is: they are cancelled, what runs of them is stopped."""
        now = self._places.clock.now()
        with self._store.transaction() as tx:
            job = tx.claim_job("sweep", self._owner, now, Micros(now + int(self._settings.claim_seconds * 1e6)))
            if job is None:
                return False
            tx.cancel_chunks(job.job_key, _STEP, now, "janitor")
            tx.release_claim(job.job_key, self._owner)
        return True

    def _erase_old(self) -> bool:
        """Looks at one page of finished jobs a step, round and round; erases what is past its time."""
        now = self._places.clock.now()
        with self._store.reading() as tx:
            page = tx.jobs(account_id=None, before=self._looked_at, limit=_PAGE, states=OVER_STATES)
        self._looked_at = page[-1].job_key if len(page) == _PAGE else None
        old = [job for job in page if self._is_old(job, now) and not is_unpublished(self._store, job)]
        for job in old:
            erase(self._store, self._places, job)
        return bool(old)

    def _sweep_logs(self) -> bool:
        """What was kept of logs while their attempts ran, and who looked at them."""
        now = self._places.clock.now()
        with self._store.reading() as tx:
            if not tx.has_idle_logs(now):
                return False
        with self._store.transaction() as tx:
            return tx.sweep_logs(now, _PAGE) > 0

    def _is_old(self, job: JobRow, now: Micros) -> bool:
        if job.finished_at == 0:  # somebody died while erasing it
            return True
        seconds = job.spec.retention_seconds
        kept = self._settings.retention_seconds if seconds is None else seconds
        return job.finished_at is not None and job.finished_at + kept * 1_000_000 <= now

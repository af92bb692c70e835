"""A role's claim on a job: a short lease of its own, kept alive while the role works, given up when it dies."""

from collections.abc import Iterator
from typing import TypeVar

from fallow.clock import Clock
from fallow.core.words import JobKey, Micros
from fallow.store.port import JobRow, Store

T = TypeVar("T")


class ClaimLost(Exception):
    """The claim ran out and somebody else has the job now."""


class Claims:
    """Takes, renews and releases claims in one role's name."""

    def __init__(self, store: Store, clock: Clock, owner: str, seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._micros = int(seconds * 1e6)

    def take(self, what: str) -> JobRow | None:
        """See Tx.claim_job."""
        now = self._clock.now()
        with self._store.transaction() as tx:
            return tx.claim_job(what, self._owner, now, Micros(now + self._micros))

    def release(self, job_key: JobKey) -> None:
        with self._store.transaction() as tx:
            tx.release_claim(job_key, self._owner)

    def renew(self, job_key: JobKey) -> None:
        """Raises ClaimLost."""
        until = Micros(self._clock.now() + self._micros)
        with self._store.transaction() as tx:
            if not tx.renew_claim(job_key, self._owner, until):
                raise ClaimLost(job_key)

    def while_passing(self, job_key: JobKey, things: Iterator[T]) -> Iterator[T]:
        """The same things, the claim renewed on the way whenever a quarter of it has gone by. Raises ClaimLost."""
        renewed = self._clock.now()
        for thing in things:
            now = self._clock.now()
            if now - renewed >= self._micros // 4:
                self.renew(job_key)
                renewed = now
            yield thing

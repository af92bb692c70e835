"""The scheduler: which attempts a worker gets, and why a job's chunks are not being sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from fallow.clock import Clock
from fallow.core.matching import Capability, explain, mismatches
from fallow.core.words import Contract, JobState, Micros
from fallow.settings import Settings
from fallow.store.port import JobRow, Leased, Store, Tx, WorkerRow

_JOBS_LOOKED_AT = 64  # per call; a worker that fits none of so many waits for its next one
_FLEET_SECONDS = 1.0
_FEED_QUEUE = 16  # pieces of a feed for each worker; with more of them nobody is idle, and calls are saved
_ACTIVE = (JobState.PLANNING, JobState.RUNNING)


class _Said(msgspec.Struct, frozen=True):
    """The parts of what a worker said of itself that matching needs."""

    platform: str = ""
    cores: float = 0.0
    memory_bytes: int = 0
    slots: int = 1
    engines: tuple[str, ...] = ()
    contracts: tuple[str, ...] = ()
    accelerators: tuple[dict[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """One lease: the job and the attempt."""

    job: JobRow
    leased: Leased


class Scheduler:
    """Leases attempts. Keeps nothing that a restart could lose."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._fleet: tuple[Micros, frozenset[str]] = (Micros(0), frozenset())

    def lease(self, tx: Tx, worker: WorkerRow, want: int, now: Micros, holding: int = 0) -> list[Offer]:
        """Up to `want` attempts, by priority, then age. Nothing for a worker that rests or is held.

        holding: how many it is at already."""
        offers: list[Offer] = []
        if want <= 0 or worker.backoff_until > now or worker.held_at:
            return offers
        fits = capability_of(worker, now, self._settings.silence_seconds)
        same_after = self._same_after(tx, worker, now)
        for job in tx.leasable_jobs(_JOBS_LOOKED_AT):
            if mismatches(job.spec, fits):
                continue
            missing = want - len(offers)
            if job.spec.feed:
                missing = min(missing, self._fed(tx, job, fits.slots - holding - len(offers), now))
            if missing <= 0:
                continue
            if job.counters.attempts_queued < missing and job.counters.chunks_planned:
                tx.open_chunks(job.job_key, max(self._settings.open_ahead, missing), now, "scheduler")
            deadline = Micros(now + self.lease_micros(job))
            taken = tx.lease(job.job_key, worker.worker_id, missing, now, deadline, same_after)
            offers.extend(Offer(job, leased) for leased in taken)
            if len(offers) >= want:
                break
        return offers

    def _fed(self, tx: Tx, job: JobRow, free_slots: int, now: Micros) -> int:
        """How much of a feed one worker may take: somebody waits for it, so none takes ahead what others could run now.

        A long queue is given out as that of any job."""
        waiting = job.counters.attempts_queued + job.counters.chunks_planned
        each = -(-waiting // max(len(self._live(tx, now)), 1))
        return each if each > _FEED_QUEUE else min(max(free_slots, 0), each)

    def lease_micros(self, job: JobRow) -> int:
        """How long a lease holds without a word: a worker that heartbeats is missed long before lease_seconds."""
        return int(min(job.spec.retry.lease_seconds, self._settings.silence_seconds) * 1e6)

    def _same_after(self, tx: Tx, worker: WorkerRow, now: Micros) -> Micros:
        """A failed chunk goes back to the worker that failed it after a while, or at once when there is no other."""
        others = self._live(tx, now) - {worker.worker_id}
        return now if not others else Micros(now - int(self._settings.retry_same_seconds * 1e6))

    def _live(self, tx: Tx, now: Micros) -> frozenset[str]:
        at, live = self._fleet
        if not at <= now < at + _FLEET_SECONDS * 1e6:
            seen_after = Micros(now - int(self._settings.silence_seconds * 1e6))
            live = frozenset(row.worker_id for row in tx.workers(seen_after) if not (row.leaving or row.held_at))
            self._fleet = (now, live)
        return live

    def why_waiting(self, job: JobRow) -> list[str]:
        """Sentences on why nothing of this job is being sent now; empty when something is, or nothing is left."""
        if job.state not in _ACTIVE:
            return [f"the job is {job.state}"] if job.counters.chunks_waiting else []
        if job.counters.attempts_leased or not (job.counters.chunks_planned or job.counters.attempts_queued):
            return []
        now = self._clock.now()
        with self._store.reading() as tx:
            rows = tx.workers()
        fleet = [capability_of(row, now, self._settings.silence_seconds) for row in rows]
        reasons = explain(job.spec, fleet)
        return reasons or self._why_fitting_workers_wait(job, rows, now)

    def _why_fitting_workers_wait(self, job: JobRow, rows: Sequence[WorkerRow], now: Micros) -> list[str]:
        silence = self._settings.silence_seconds
        fitting = [row for row in rows if _fits(row, job, now, silence)]
        resting = [row for row in fitting if row.backoff_until > now]
        busy = [row for row in fitting if row.attempts_leased]
        if len(resting) == len(fitting):
            return [f"{row.worker_id} rests after {row.failures} failures in a row" for row in resting]
        if len(busy) + len(resting) == len(fitting):
            return [f"all {len(fitting)} workers that could take it are busy with other jobs"]
        return ["a worker that failed a piece gets it again only after a while; others are asked first"]


def _fits(row: WorkerRow, job: JobRow, now: Micros, silence_seconds: float) -> bool:
    capability = capability_of(row, now, silence_seconds)
    return capability.alive and not mismatches(job.spec, capability)


def capability_of(row: WorkerRow, now: Micros, silence_seconds: float) -> Capability:
    """What a worker's row says, for matching."""
    said = _said(row.capability)
    return Capability(
        worker_id=row.worker_id,
        label=row.label,
        platform=said.platform,
        cores=said.cores,
        memory_bytes=said.memory_bytes,
        slots=said.slots,
        engines=frozenset(said.engines),
        contracts=frozenset(said.contracts) or frozenset(Contract),
        accelerators=len(said.accelerators),
        alive=not (row.leaving or row.held_at) and row.seen_at > now - silence_seconds * 1e6,
    )


@lru_cache(maxsize=4096)
def _said(capability: str) -> _Said:
    return msgspec.json.decode(capability, type=_Said)

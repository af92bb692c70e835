"""The scheduler: which attempts a worker gets, and why a job's chunks are not being sent."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from fallow.clock import Clock
from fallow.control.replication import is_plain, terms_of, want_quorum
from fallow.control.shares import Shares
from fallow.control.volunteering import Volunteer, heard_since
from fallow.core.homogeneity import classes_of
from fallow.core.job import Homogeneous
from fallow.core.matching import Capability, explain, mismatches
from fallow.core.volunteers import is_volunteer
from fallow.core.words import ChunkId, Contract, JobState, Micros
from fallow.settings import Settings
from fallow.store.port import JobRow, Leased, Store, Tx, WorkerRow

_JOBS_LOOKED_AT = 64  # per call; a worker that fits none of so many waits for its next one
_JOBS_OF_ACCOUNT = 16  # the same for each account, where there are more jobs than can be looked at
_ACCOUNTS_LOOKED_AT = 256
_ACCOUNTS_SERVED = 32  # per call
_CROWD_MICROS = 2_000_000
_FLEET_SECONDS = 1.0
_FEED_QUEUE = 16  # pieces of a feed for each worker; with more of them nobody is idle, and calls are saved
_ACTIVE = (JobState.PLANNING, JobState.RUNNING)


class _Accelerator(msgspec.Struct, frozen=True):
    model: str = ""


class _Said(msgspec.Struct, frozen=True):
    """The parts of what a worker said of itself that matching needs."""

    platform: str = ""
    cores: float = 0.0
    memory_bytes: int = 0
    slots: int = 1
    engines: tuple[str, ...] = ()
    contracts: tuple[str, ...] = ()
    accelerators: tuple[_Accelerator, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """One lease: the job and the attempt."""

    job: JobRow
    leased: Leased


@dataclass(frozen=True, slots=True)
class _Asking:
    """One worker's request, while it is answered. same_after: see Tx.lease. holding: attempts it is at already.
    volunteer: None for a worker of our own."""

    tx: Tx
    worker: WorkerRow
    fits: Capability
    now: Micros
    same_after: Micros
    holding: int
    volunteer: Volunteer | None

    def may_run(self, job: JobRow) -> bool:
        """Whether the job may go to this worker."""
        if self.volunteer is not None and not self.volunteer.may_run(job):
            return False
        return not mismatches(job.spec, self.fits)

    def classes(self) -> Mapping[Homogeneous, str]:
        """The worker's classes of machines."""
        return _classes(self.worker.capability) if self.volunteer is None else self.volunteer.classes

    def doubted(self, job: JobRow, taken: Iterable[Leased]) -> list[ChunkId]:
        """The chunks for which this worker's answer would not be enough. Workers of our own are trusted, and so are an
        account's own machines with its own jobs."""
        if self.volunteer is None or self.volunteer.account_id == job.account_id:
            return []
        return [leased.chunk_id for leased in taken if not self.volunteer.counts_alone(job.spec.ran)]

    def bundle(self, job: JobRow) -> int:
        """Attempts of the job that count as one of what is wanted."""
        return 1 if self.volunteer is None else max(1, self.volunteer.bundle(job))

    def counted(self, offers: Sequence[Offer]) -> int:
        """How much of what is wanted the offers are."""
        if self.volunteer is None:
            return len(offers)
        jobs = {offer.job.job_key: offer.job for offer in offers}
        return sum(-(-sum(o.job.job_key == key for o in offers) // self.bundle(job)) for key, job in jobs.items())


class Scheduler:
    """Leases attempts. Keeps nothing that a restart could lose, but for seconds of who was given how much."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, shares: Shares | None = None) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._shares = shares or Shares(clock, settings)
        self._fleet: tuple[Micros, frozenset[str]] = (Micros(0), frozenset())
        self._crowd: tuple[Micros, frozenset[str]] = (Micros(0), frozenset())

    def lease(
        self,
        tx: Tx,
        worker: WorkerRow,
        want: int,
        now: Micros,
        holding: int = 0,
        volunteer: Volunteer | None = None,
    ) -> list[Offer]:
        """Up to `want` attempts: between accounts by their shares, within one by priority, then age. Nothing for a
        worker that rests or is held.

        holding: how many it is at already. volunteer: of a BOINC client; `want` then counts tasks, each of them up to
        volunteer.bundle(job) attempts of one job, which follow each other.
        """
        if want <= 0 or worker.backoff_until > now or worker.held_at:
            return []
        fits = capability_of(worker, now, self._settings, worker.account_id)
        asking = _Asking(tx, worker, fits, now, self._same_after(tx, worker, now), holding, volunteer)
        jobs = self._leasable(tx, volunteer)
        accounts = {job.account_id for job in jobs}
        crowded = len(jobs) == _JOBS_LOOKED_AT  # others may be hidden behind these
        if crowded:
            accounts |= self._crowded(tx, now)
        if len(accounts) <= 1:
            return self._take(asking, jobs, want)
        shown = accounts if crowded else frozenset[str]()
        offers = self._shared(asking, self._by_account(asking, jobs, shown, want), want)
        return offers if volunteer is None else _by_job(offers)

    def _leasable(self, tx: Tx, volunteer: Volunteer | None) -> list[JobRow]:
        if volunteer is None:
            return tx.leasable_jobs(_JOBS_LOOKED_AT)
        # Many jobs of the fleet must not hide the few that are for volunteers.
        return tx.leasable_jobs_for_volunteers(volunteer.account_id, not volunteer.own_only, _JOBS_LOOKED_AT)

    def _take(self, asking: _Asking, jobs: Iterable[JobRow], want: int, given: int = 0) -> list[Offer]:
        """Up to `want` attempts of these jobs, first job first. given: how many the worker gets of others."""
        offers: list[Offer] = []
        counted = 0
        for job in jobs:
            if not asking.may_run(job):
                continue
            bundle = asking.bundle(job)
            missing = (want - counted) * bundle
            if job.spec.feed:
                free_slots = asking.fits.slots - asking.holding - given - len(offers)
                missing = min(missing, self._fed(asking.tx, job, free_slots, asking.now))
            if missing <= 0:
                continue
            if job.counters.attempts_queued < missing and job.counters.chunks_planned:
                ahead = max(self._settings.open_ahead, missing)
                asking.tx.open_chunks(job.job_key, ahead, asking.now, "scheduler")
            taken = self._lease(asking, job, missing)
            offers.extend(Offer(job, leased) for leased in taken)
            counted += -(-len(taken) // bundle)
            if counted >= want:
                break
        return offers

    def _lease(self, asking: _Asking, job: JobRow, limit: int) -> list[Leased]:
        deadline = Micros(asking.now + self.lease_micros(job))
        if asking.volunteer is not None:
            deadline = asking.volunteer.deadline(job)
        tx, worker_id = asking.tx, asking.worker.worker_id
        if is_plain(job.spec):
            return tx.lease(job.job_key, worker_id, limit, asking.now, deadline, asking.same_after)
        terms = terms_of(job.spec, asking.worker.account_id, asking.classes())
        if terms is None:
            return []
        taken = tx.lease(job.job_key, worker_id, limit, asking.now, deadline, asking.same_after, terms)
        if job.spec.verify.adaptive and (doubted := asking.doubted(job, taken)):
            want_quorum(tx, job, doubted, asking.now)
        return taken

    def _shared(self, asking: _Asking, jobs: dict[str, list[JobRow]], want: int) -> list[Offer]:
        """The same between accounts. What one of them cannot use after all, the others get."""
        portions = self._shares.divide(want, jobs, asking.now)
        offers: list[Offer] = []
        counted = 0
        empty: set[str] = set()
        for account, count in [*portions, *((account, want) for account, _ in portions)]:
            wanted = min(count, want - counted)
            if wanted <= 0 or account in empty:
                continue
            taken = self._take(asking, jobs[account], wanted, len(offers))
            counted_here = asking.counted(taken)
            counted += counted_here
            if counted_here < wanted:
                empty.add(account)
            for job in {offer.job.job_key: offer.job for offer in taken}.values():
                leased = [offer.leased for offer in taken if offer.job.job_key == job.job_key]
                self._shares.gave(job, leased, jobs, asking.now)
            offers.extend(taken)
        return offers

    def _by_account(
        self, asking: _Asking, jobs: Sequence[JobRow], crowd: Collection[str], want: int
    ) -> dict[str, list[JobRow]]:
        """Each account's jobs that fit the worker. crowd: all accounts, where `jobs` may not show each of them."""
        found: dict[str, list[JobRow]] = {}
        if not crowd:
            for job in jobs:
                if asking.may_run(job):
                    found.setdefault(job.account_id, []).append(job)
            return found
        for account in self._shares.order(crowd, asking.now)[:_ACCOUNTS_LOOKED_AT]:
            own = asking.tx.leasable_jobs_of(account, _JOBS_OF_ACCOUNT)
            if fitting := [job for job in own if asking.may_run(job)]:
                found[account] = fitting
            if len(found) >= min(want, _ACCOUNTS_SERVED):
                break
        return found

    def _crowded(self, tx: Tx, now: Micros) -> frozenset[str]:
        """All accounts with something to hand out, as of a moment ago."""
        at, accounts = self._crowd
        if not at <= now < at + _CROWD_MICROS:
            accounts = frozenset(tx.leasable_accounts())
            self._crowd = (now, accounts)
        return accounts

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
        alone = not others and not is_volunteer(worker.worker_id)
        return now if alone else Micros(now - int(self._settings.retry_same_seconds * 1e6))

    def _live(self, tx: Tx, now: Micros) -> frozenset[str]:
        at, live = self._fleet
        if not at <= now < at + _FLEET_SECONDS * 1e6:
            seen_after = Micros(now - int(self._settings.silence_seconds * 1e6))
            live = frozenset(row.worker_id for row in tx.workers(seen_after) if _is_at_hand(row))
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
        fleet = [capability_of(row, now, self._settings, job.account_id) for row in rows]
        reasons = explain(job.spec, fleet)
        return reasons or self._why_fitting_workers_wait(job, rows, now)

    def _why_fitting_workers_wait(self, job: JobRow, rows: Sequence[WorkerRow], now: Micros) -> list[str]:
        fitting = [row for row in rows if _fits(row, job, now, self._settings)]
        resting = [row for row in fitting if row.backoff_until > now]
        busy = [row for row in fitting if row.attempts_leased]
        if len(resting) == len(fitting):
            return [f"{row.worker_id} rests after {row.failures} failures in a row" for row in resting]
        if len(busy) + len(resting) == len(fitting):
            return [f"all {len(fitting)} workers that could take it are busy with other jobs"]
        return ["a worker that failed a piece gets it again only after a while; others are asked first"]


def _by_job(offers: Sequence[Offer]) -> list[Offer]:
    """In the order of each job's first one."""
    places: dict[int, int] = {}
    for offer in offers:
        places.setdefault(offer.job.job_key, len(places))
    return sorted(offers, key=lambda offer: places[offer.job.job_key])


def _fits(row: WorkerRow, job: JobRow, now: Micros, settings: Settings) -> bool:
    capability = capability_of(row, now, settings, job.account_id)
    return capability.alive and not mismatches(job.spec, capability)


def _is_at_hand(row: WorkerRow) -> bool:
    """Whether it would take something now if it could. Volunteers' machines come when they come."""
    return not (row.leaving or row.held_at or is_volunteer(row.worker_id))


def capability_of(row: WorkerRow, now: Micros, settings: Settings, account_id: str) -> Capability:
    """What a worker's row says, for matching with jobs of this account."""
    said = _said(row.capability)
    volunteer = is_volunteer(row.worker_id)
    stranger = volunteer and row.account_id != account_id
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
        alive=not (row.leaving or row.held_at) and row.seen_at > heard_since(row, now, settings),
        stranger=stranger,
        own_only=stranger and settings.boinc_own_only,
    )


@lru_cache(maxsize=4096)
def _said(capability: str) -> _Said:
    return msgspec.json.decode(capability, type=_Said)


@lru_cache(maxsize=4096)
def _classes(capability: str) -> Mapping[Homogeneous, str]:
    said = _said(capability)
    return classes_of(platform=said.platform, accelerators=[each.model for each in said.accelerators])

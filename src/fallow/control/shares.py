"""Shares: what each account was given and is due, as one process knows it.

It hears of every attempt that is over, and every few seconds writes what was used to the accounts' rows and reads
everybody's back. Turns are this process's own: each door divides what it hands out, so together they divide all of it.
A process that dies takes seconds of this with it, and nothing else.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fallow.clock import Clock
from fallow.core.chapter import Chapter
from fallow.core.refusals import Refusal
from fallow.core.shares import Claim, divide, faded, weights
from fallow.core.words import AttemptId, AttemptState, JobKey, Micros
from fallow.settings import Settings
from fallow.store.port import JobRow, Leased, Store, Tx

_SETTLE_MICROS: Final = 2_000_000
_ABSENT_MICROS: Final = 30_000_000  # who wanted nothing for so long comes back without a claim on what others had
_SECONDS: Final = 10.0  # an attempt of a job that nothing is known of yet
_NEWEST: Final = 0.2  # how much the last attempt says about the next one
_REMEMBERED_MAX: Final = 65_536


@dataclass(frozen=True, slots=True)
class _Given:
    """An attempt on credit: what it was thought to take."""

    account: str
    seconds: float
    weight: float


class Shares:
    """Safe to use from many threads. A core.chapter.Witness."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self._clock = clock
        self._half_life = float(settings.share_half_life_seconds)
        self._lock = threading.Lock()
        self._settled = Micros(0)
        self._used_by_job: defaultdict[JobKey, float] = defaultdict(float)
        self._seconds: dict[JobKey, float] = {}
        self._given: dict[AttemptId, _Given] = {}
        self._turns: dict[str, float] = {}
        self._wanted: dict[str, Micros] = {}
        self._rows: dict[str, tuple[float, float, Micros]] = {}

    def heard(self, chapter: Chapter) -> None:
        """Attempts that were leased and are not any more: what they took is known now."""
        for row, age in zip(chapter.rows, chapter.ages, strict=True):
            if row[4] == AttemptState.LEASED and row[3] is not None:
                lost = row[5] == AttemptState.LOST  # what a silent worker did is not known, and not charged
                self._over(row[3], row[1], 0.0 if lost else max(age, 0) / 1e6, lost=lost)

    def _over(self, attempt_id: AttemptId, job_key: JobKey, seconds: float, *, lost: bool) -> None:
        with self._lock:
            given = self._given.pop(attempt_id, None)
            if given is not None:
                turn = self._turns.get(given.account, 0.0)
                self._turns[given.account] = turn + (seconds - given.seconds) / given.weight
            if not lost:
                self._used_by_job[job_key] += seconds
                known = self._seconds.pop(job_key, seconds)
                self._seconds[job_key] = known + _NEWEST * (seconds - known)
                _forget_oldest(self._seconds)

    def divide(self, want: int, jobs: Mapping[str, Sequence[JobRow]], now: Micros) -> list[tuple[str, int]]:
        """Who gets how many of `want` slots, lowest turn first. jobs: what each account has to hand out."""
        with self._lock:
            self._welcome(jobs, now)
            weight = self._weights(jobs, now)
            claims = [
                Claim(account, self._turns[account], weight[account], self._expected(own[0]), _available(own))
                for account, own in jobs.items()
            ]
        return divide(want, claims)

    def order(self, accounts: Iterable[str], now: Micros) -> list[str]:
        """Lowest turn first."""
        names = list(accounts)
        with self._lock:
            self._welcome(names, now)
            return sorted(names, key=lambda account: (self._turns[account], account))

    def gave(self, job: JobRow, leased: Sequence[Leased], accounts: Iterable[str], now: Micros) -> None:
        """Attempts of a job went out while these accounts wanted slots: their turn comes later by what is expected."""
        with self._lock:
            weight = self._weights(accounts, now)[job.account_id]
            seconds = self._expected(job)
            self._turns[job.account_id] += len(leased) * seconds / weight
            for each in leased:
                self._given[each.attempt_id] = _Given(job.account_id, seconds, weight)
            _forget_oldest(self._given)

    def step(self, store: Store) -> bool:
        """Every few seconds: what was used goes to the rows, and everybody's shares come back. Never has more to do."""
        now = self._clock.now()
        if 0 <= now - self._settled < _SETTLE_MICROS:
            return False
        with self._lock:
            used, self._used_by_job = self._used_by_job, defaultdict(float)
        try:
            self._settle(store, used, now)
        except Refusal:
            with self._lock:
                for job_key, seconds in used.items():
                    self._used_by_job[job_key] += seconds
            raise
        self._settled = now
        return False

    def _settle(self, store: Store, used: Mapping[JobKey, float], now: Micros) -> None:
        if used:
            with store.transaction() as tx:
                for account, seconds in sorted(_by_account(tx, used).items()):
                    tx.charge(account, seconds, now, self._half_life)
                rows = tx.shares()
        else:
            with store.reading() as tx:
                rows = tx.shares()
        with self._lock:
            self._rows = {account: (share, had, at) for account, share, had, at in rows}

    def _welcome(self, accounts: Iterable[str], now: Micros) -> None:
        """Who comes, or comes back, starts where the others are: neither behind all of them nor with a claim on all
        that they had meanwhile."""
        names = set(accounts)
        here = {name for name in names if 0 <= now - self._wanted.get(name, now + 1) < _ABSENT_MICROS}
        level = (min if here else max)((self._turns.get(name, 0.0) for name in here or names), default=0.0)
        for name in names:
            if name not in here:
                self._turns[name] = max(level, self._turns.get(name, level))
            self._wanted.pop(name, None)
            self._wanted[name] = now
        while len(self._wanted) > _REMEMBERED_MAX:
            gone = next(iter(self._wanted))
            del self._wanted[gone], self._turns[gone]

    def _weights(self, accounts: Iterable[str], now: Micros) -> dict[str, float]:
        known = {account: self._rows.get(account, (1.0, 0.0, now)) for account in accounts}
        shares = {account: row[0] for account, row in known.items()}
        return weights(shares, {account: faded(row[1], row[2], now, self._half_life) for account, row in known.items()})

    def _expected(self, job: JobRow) -> float:
        """Seconds that an attempt of the job will take; never 0, or its turn would stand still."""
        return max(self._seconds.get(job.job_key, _SECONDS), 0.001)


def _available(jobs: Sequence[JobRow]) -> int:
    return sum(job.counters.attempts_queued + job.counters.chunks_planned * job.spec.answers_first for job in jobs)


def _by_account(tx: Tx, used: Mapping[JobKey, float]) -> dict[str, float]:
    """Jobs that were deleted meanwhile are left out."""
    found: defaultdict[str, float] = defaultdict(float)
    for job_key, seconds in used.items():
        job = tx.job_by_key(job_key)
        if job is not None:
            found[job.account_id] += seconds
    return found


def _forget_oldest(known: dict[AttemptId, _Given] | dict[JobKey, float]) -> None:
    while len(known) > _REMEMBERED_MAX:
        del known[next(iter(known))]  # type: ignore[arg-type]  # its own key, whichever it is

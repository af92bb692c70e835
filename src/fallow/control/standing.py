"""How things stand now: the numbers that a scrape asks the rows for. They never name an id."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from fallow.clock import Clock
from fallow.control.volunteering import heard_since
from fallow.core.words import ChunkState, JobState, Micros
from fallow.settings import Settings
from fallow.store.port import JobRow, Store, Tx, WorkerRow

LIVE: Final = (JobState.PLANNING, JobState.RUNNING, JobState.PAUSED, JobState.MERGING)
_CHUNKS: Final = (
    ChunkState.PLANNED,
    ChunkState.OPEN,
    ChunkState.VERIFYING,
    ChunkState.DONE,
    ChunkState.FAILED,
)
_ATTEMPTS: Final = ("queued", "leased")
_NO_DELIVERIES: Final[Mapping[tuple[str, ...], float]] = {
    (channel, state): 0 for channel in ("email", "webhook") for state in ("waiting", "failed")
}
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Gauge:
    """values: by the values of the labels, in their order."""

    name: str
    says: str
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]


class Standing:
    """Counts over live jobs come from the jobs' own counters: no look at any chunk."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    def gauges(self) -> list[Gauge]:
        """Everything, in one consistent picture."""
        with self._store.reading() as tx:
            jobs = list(_live_jobs(tx))
            workers = tx.workers()
            deliveries = {**_NO_DELIVERIES, **tx.delivery_counts()}
            notices = tx.notice_counts()
        return [
            *_of_jobs(jobs),
            *self._of_workers(workers),
            Gauge("fallow_deliveries", "Deliveries of notices.", ("channel", "state"), deliveries),
            Gauge("fallow_notices", "Notices, by kind and whether somebody has read them.", ("kind", "state"), notices),
        ]

    def _of_workers(self, rows: list[WorkerRow]) -> Iterator[Gauge]:
        counted: Counter[tuple[str, ...]] = Counter((self._state(row), row.label or "none") for row in rows)
        held: Counter[tuple[str, ...]] = Counter()
        for row in rows:
            held[(row.label or "none",)] += row.attempts_leased
        yield Gauge("fallow_workers", "Workers that have joined.", ("state", "label"), counted)
        yield Gauge("fallow_attempts_held", "Attempts that workers hold.", ("label",), held)

    def _state(self, row: WorkerRow) -> str:
        now = self._clock.now()
        if row.seen_at <= heard_since(row, now, self._settings):
            return "silent"
        if row.leaving:
            return "leaving"
        return "resting" if row.backoff_until > now else "alive"


def _live_jobs(tx: Tx) -> Iterator[JobRow]:
    before = None
    while page := tx.jobs(account_id=None, before=before, limit=_PAGE, states=LIVE):
        yield from page
        before = page[-1].job_key


def _of_jobs(jobs: list[JobRow]) -> Iterator[Gauge]:
    states: Counter[tuple[str, ...]] = Counter({(state.value,): 0 for state in LIVE})
    chunks: Counter[tuple[str, ...]] = Counter()
    attempts: Counter[tuple[str, ...]] = Counter()
    oldest: dict[tuple[str, ...], float] = {}
    for job in jobs:
        states[(job.state.value,)] += 1
        kind = (job.spec.contract.value, job.spec.requirements.label or "any")
        for state in _CHUNKS:
            chunks[state.value, *kind] += getattr(job.counters, f"chunks_{state}")
        for each in _ATTEMPTS:
            attempts[each, *kind] += getattr(job.counters, f"attempts_{each}")
        oldest[(job.state.value,)] = min(
            oldest.get((job.state.value,), _seconds(job.created_at)), _seconds(job.created_at)
        )
    labels = ("state", "contract", "label")
    yield Gauge("fallow_jobs", "Live jobs.", ("state",), states)
    yield Gauge("fallow_chunks", "Chunks of live jobs; label: what the job requires.", labels, chunks)
    yield Gauge("fallow_attempts", "Attempts of live jobs that wait or run.", labels, attempts)
    yield Gauge("fallow_oldest_job_timestamp_seconds", "When the oldest live job came.", ("state",), oldest)


def _seconds(at: Micros) -> float:
    return at / 1e6

"""Charts: what pages draw of jobs. Read from rows each time, so every process shows the same."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from fallow.clock import Clock
from fallow.control.callers import Caller
from fallow.control.views import Views
from fallow.core.forecast import Forecast, forecast
from fallow.core.lifecycle import JOB_OVER
from fallow.core.words import ChunkState, JobKey, JobState, Micros
from fallow.store.port import AttemptRow, CellRun, FailureGroup, FaultGroup, JobRow, Store

CELLS_MAX: Final = 10_000
KINDS: Final = ("planned", "queued", "running", "verifying", "done", "failed", "cancelled", "split")
"""What a chunk can be on a map, in the order of a cell's counts. queued: open, and held by nobody."""

_QUEUED: Final = KINDS.index("queued")
_RUNNING: Final = KINDS.index("running")
_KIND_OF: Final = {state: KINDS.index("queued" if state is ChunkState.OPEN else state.value) for state in ChunkState}
_MOVES_MAX: Final = 20_000  # after more the whole map is cheaper
_RANGES_MAX: Final = 64
_SPANS_MAX: Final = 240
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_RECENT_SECONDS: Final = 30
_RECENT_ROWS: Final = 20_000  # of the story: the busiest seconds of a large fleet; milliseconds to read
_GROUPS_MAX: Final = 20
_PAGE_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Cell:
    """counts: chunks by kind, in the order of KINDS."""

    number: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChunkMap:
    """cells: all of them in order, or only those that changed since a mark. mark: what to ask with next time."""

    chunks: int
    per_cell: int
    mark: int
    whole: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """items: done in each span of `span_seconds` from `start` on. growing: the planner still finds more to do."""

    start: Micros
    span_seconds: int
    items: tuple[int, ...]
    done: int
    total: int
    growing: bool
    now: Micros
    forecast: Forecast | None


@dataclass(frozen=True, slots=True)
class Failure:
    """latest: one of the group, with its log."""

    group: FailureGroup
    latest: AttemptRow | None


class Charts:
    """Raises Refusal NOT_FOUND for jobs that the caller may not see."""

    def __init__(self, store: Store, views: Views, clock: Clock) -> None:
        self._store = store
        self._views = views
        self._clock = clock

    def jobs(
        self, caller: Caller, text: str, states: Sequence[JobState], submitter: str, after: str | None, limit: int
    ) -> tuple[list[JobRow], str | None]:
        """Newest first, and what to ask with for the next page. submitter: an account's id, for those who see all."""
        before = self._views.job(caller, after).job_key if after else None
        limit = min(limit, _PAGE_MAX)
        if caller.is_worker:
            return [], None
        account = (submitter or None) if caller.sees_all else caller.account_id
        with self._store.reading() as tx:
            rows = tx.jobs_found(account_id=account, text=text, states=states, before=before, limit=limit + 1)
        return rows[:limit], rows[limit - 1].job_id if len(rows) > limit else None

    def names(self, accounts: Iterable[str]) -> dict[str, str]:
        """What accounts are called."""
        with self._store.reading() as tx:
            return {each: tx.account_name(each) for each in set(accounts)}

    def submitters(self, caller: Caller) -> list[tuple[str, str]]:
        """(id, name) to choose from; empty for those who see their own jobs only."""
        if not caller.sees_all:
            return []
        with self._store.reading() as tx:
            return tx.submitters(500)

    def throughput(self) -> dict[JobKey, float]:
        """Items per second, lately, of each job that got any done."""
        now = self._clock.now()
        since = Micros(now - _RECENT_SECONDS * 1_000_000)
        with self._store.reading() as tx:
            recent = tx.recent_work(since, _RECENT_ROWS)
        return {each.job_key: each.items / max(1.0, (now - each.since) / 1e6) for each in recent}

    def chunk_map(self, caller: Caller, job_id: str, after: int | None = None) -> ChunkMap:
        """The whole map, or what changed since the mark `after` if that is little."""
        job = self._views.job(caller, job_id)
        with self._store.reading() as tx:
            mark = tx.story_mark()
            chunks = tx.chunk_count(job.job_key)
            per_cell = per_cell_of(chunks)
            leased: dict[int, int] = defaultdict(int)
            for chunk_id in tx.leased_chunks(job.job_key):
                leased[chunk_id // per_cell] += 1
            ranges = [(0, chunks)]
            whole = after is None or not 0 <= mark - after <= _MOVES_MAX
            if after is not None and not whole:
                moved = tx.moved_chunks(job.job_key, after, _MOVES_MAX)
                ranges = [(first * per_cell, (last + 1) * per_cell) for first, last in _ranges(moved, per_cell)]
            counts: dict[int, list[int]] = defaultdict(lambda: [0] * len(KINDS))
            for first, end in ranges:
                for each in tx.cell_counts(job.job_key, per_cell, first, end):
                    counts[each.cell][_KIND_OF[each.state]] += each.chunks
        return ChunkMap(chunks, per_cell, mark, whole, tuple(_cells(counts, leased)))

    def runs(self, caller: Caller, job_id: str) -> tuple[int, list[CellRun]]:
        """How many chunks a cell holds, and how its chunks were run: by whom, how long, how often."""
        job = self._views.job(caller, job_id)
        with self._store.reading() as tx:
            per_cell = per_cell_of(tx.chunk_count(job.job_key))
            return per_cell, tx.cell_runs(job.job_key, per_cell)

    def series(self, caller: Caller, job_id: str) -> Series:
        """Items done over time, and when the rest will be."""
        job = self._views.job(caller, job_id)
        now = self._clock.now()
        with self._store.reading() as tx:
            between = tx.done_between(job.job_key)
            if between is None:
                return _series(job, now, now, 1, [])
            end = between[1] if job.state in JOB_OVER else max(now, between[1])
            step = _step((end - between[0]) / 1e6 / _SPANS_MAX)
            start = Micros((between[0] // (step * 1_000_000)) * step * 1_000_000)
            found = {span.number: span.items for span in tx.done_spans(job.job_key, start, step * 1_000_000)}
        count = int((end - start) // (step * 1_000_000)) + 1
        return _series(job, now, start, step, [found.get(number, 0) for number in range(count)])

    def failures(self, caller: Caller, job_id: str) -> tuple[list[Failure], list[FaultGroup]]:
        """Attempts that went wrong, and chunks that were given up, by how; the most frequent first."""
        job = self._views.job(caller, job_id)
        counters = job.counters
        with self._store.reading() as tx:
            faults = tx.fault_groups(job.job_key, _GROUPS_MAX) if counters.chunks_failed else []
            if not counters.attempts_errored + counters.attempts_lost + counters.attempts_invalid:
                return [], faults
            groups = tx.failure_groups(job.job_key, _GROUPS_MAX)
            return [Failure(each, tx.attempt_row(each.latest)) for each in groups], faults


def per_cell_of(chunks: int) -> int:
    """How many chunks a cell of a map holds: 1, 2, 5, 10, 20, ..., so that there are at most CELLS_MAX cells."""
    scale = 1
    while True:
        for step in (1, 2, 5):
            if chunks <= CELLS_MAX * step * scale:
                return step * scale
        scale *= 10


def _cells(counts: dict[int, list[int]], leased: dict[int, int]) -> Iterable[Cell]:
    for number in sorted(counts):
        found = counts[number]
        running = min(found[_QUEUED], leased.get(number, 0))
        found[_QUEUED] -= running
        found[_RUNNING] += running
        yield Cell(number, tuple(found))


def _ranges(moved: Sequence[int], per_cell: int) -> list[tuple[int, int]]:
    """Runs of cells (first, last) that hold all these chunks; the smallest gaps are taken in until there are few."""
    cells = sorted({chunk_id // per_cell for chunk_id in moved})
    gaps = sorted((right - left for left, right in pairwise(cells)), reverse=True)
    kept = max(2, gaps[_RANGES_MAX - 1] + 1 if len(gaps) >= _RANGES_MAX else 2)
    found: list[tuple[int, int]] = []
    for cell in cells:
        if found and cell - found[-1][1] < kept:
            found[-1] = (found[-1][0], cell)
        else:
            found.append((cell, cell))
    return found


def _step(seconds: float) -> int:
    return next((step for step in _STEPS if step >= seconds), int(seconds // 86400 + 1) * 86400)


def _series(job: JobRow, now: Micros, start: Micros, step: int, items: list[int]) -> Series:
    counters = job.counters
    live = job.state not in JOB_OVER
    remaining = counters.items_total - counters.items_done - counters.items_failed
    moving = job.state in (JobState.PLANNING, JobState.RUNNING)
    return Series(
        start=start,
        span_seconds=step,
        items=tuple(items),
        done=counters.items_done,
        total=counters.items_total,
        growing=live and not job.plan.done,
        now=now,
        # The newest span is not over, so it says nothing yet.
        forecast=forecast(remaining, items[:-1] or items, step) if moving else None,
    )

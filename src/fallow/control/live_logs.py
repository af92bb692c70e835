"""Live logs: what a running attempt has written, told by its worker for as long as somebody looks, and no longer.

Who looks leaves a row that ends by itself; the worker learns of it in the answer to its next heartbeat and tells what
is new with each of its calls. When the attempt is over, the whole log is read, counted in the same bytes.
"""

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from fallow.clock import Clock
from fallow.control.callers import Caller
from fallow.control.results import Content, Results, no_such_attempt
from fallow.control.views import Views
from fallow.core.live_log import LogPart, joined
from fallow.core.log_gap import MARKER_BYTES_MAX, LogGap, gap_at, head_bytes
from fallow.core.words import AttemptId, AttemptState, Micros
from fallow.settings import Settings
from fallow.store.port import AttemptRow, JobRow, Store, Tx

PAGE_BYTES: Final = 1024 * 1024
_WATCHED_MAX: Final = 1000
_FRESH_MICROS: Final = 1_000_000  # what another process knows of who looks is seen so late at most
_WAITS = (AttemptState.QUEUED, AttemptState.DROPPED)


@dataclass(frozen=True, slots=True)
class Glimpse:
    """Some of an attempt's log. next: what to give as `after` for what follows. over: the attempt is, and this was the
    last of its log. runs: whether it is being told now."""

    part: LogPart
    next: int
    over: bool
    runs: bool


class LiveLogs:
    """Safe to use from many threads."""

    def __init__(self, store: Store, views: Views, results: Results, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._views = views
        self._results = results
        self._clock = clock
        # Whoever looks once, as a page without scripts does, is remembered until the worker has heard of it.
        self._watch_micros = int((2 * settings.heartbeat_seconds + 20) * 1e6)
        self._lock = threading.Lock()
        self._watched: frozenset[AttemptId] = frozenset()
        self._fresh_until = Micros(0)
        self._renewed: dict[AttemptId, Micros] = {}

    def look(self, caller: Caller, job_id: str, attempt_id: int, after: int) -> Glimpse:
        """The log after its first `after` bytes, as far as it is known; from now on its worker tells of it.

        Raises Refusal NOT_FOUND.
        """
        job = self._views.job(caller, job_id)
        with self._store.reading() as tx:
            row = tx.attempt_row(AttemptId(attempt_id))
            kept = tx.live_log(AttemptId(attempt_id))
        if row is None or row.attempt.job_key != job.job_key:
            raise no_such_attempt(attempt_id)
        state = row.attempt.state
        if state is AttemptState.LEASED:
            self._watch(row.attempt.attempt_id)
        elif state not in _WAITS:
            return self._whole(caller, job, row, kept, after)
        part = (kept or LogPart(row.attempt.attempt_id, after, b"")).since(after)
        return Glimpse(
            part, max(after, part.end), over=state is AttemptState.DROPPED, runs=state is AttemptState.LEASED
        )

    def so_far(self, caller: Caller, job_id: str, attempt_id: int) -> bytes | None:
        """What is known of the log of an attempt that runs; None when it does not. Raises Refusal NOT_FOUND."""
        found = self.look(caller, job_id, attempt_id, 0)
        return found.part.data if found.runs else None

    def watched(self) -> Collection[AttemptId]:
        """The attempts that somebody looks at. The rows are asked at most once a second."""
        now = self._clock.now()
        with self._lock:
            if now < self._fresh_until:
                return self._watched
        with self._store.reading() as tx:
            found = frozenset(tx.watched_logs(now, _WATCHED_MAX))
        with self._lock:
            self._watched, self._fresh_until = found, Micros(now + _FRESH_MICROS)
        return found

    def _watch(self, attempt_id: AttemptId) -> None:
        """Written seldom, however often somebody looks."""
        now = self._clock.now()
        with self._lock:
            if now + self._watch_micros // 2 < self._renewed.get(attempt_id, 0):
                return
        until = Micros(now + self._watch_micros)
        with self._store.transaction() as tx:
            tx.watch_log(attempt_id, until)
        with self._lock:
            self._renewed = {each: end for each, end in self._renewed.items() if end > now} | {attempt_id: until}
            self._watched |= {attempt_id}

    def _whole(self, caller: Caller, job: JobRow, row: AttemptRow, kept: LogPart | None, after: int) -> Glimpse:
        """A page of the log of an attempt that is over; of one that was lost, what its worker told."""
        attempt_id = row.attempt.attempt_id
        content = self._results.log(caller, job.job_id, attempt_id)
        if not content.size_bytes and kept is not None:
            return Glimpse(kept.since(after), max(after, kept.end), over=True, runs=False)
        gap = _gap(content, job.spec.limits.log_bytes)
        first = min(gap.position(after), content.size_bytes)
        last = min(first + PAGE_BYTES, content.size_bytes)
        data = b"".join(content.read(first, last - first)) if last > first else b""
        part = LogPart(attempt_id, gap.written(first), data)
        return Glimpse(part, max(after, gap.written(last)), over=last == content.size_bytes, runs=False)


def take_logs(tx: Tx, told: Iterable[LogPart], wanted: Collection[AttemptId], now: Micros) -> None:
    """Keeps what a worker told of the attempts that are wanted: those that it holds and that somebody looks at."""
    for part in sorted(told, key=lambda each: each.attempt_id):
        if part.attempt_id in wanted:
            tx.save_live_log(joined(tx.live_log(part.attempt_id), part), now)


def _gap(content: Content, log_bytes: int) -> LogGap:
    start = head_bytes(log_bytes)
    if content.size_bytes <= start:
        return LogGap()
    return gap_at(start, b"".join(content.read(start, min(MARKER_BYTES_MAX, content.size_bytes - start))))

"""The notifier: what happened becomes notices.

The end of a job is told by a row of news, written in the transaction that ended it. What nobody moves is looked for: a
job that waits, a worker that is silent, a disk that fills. Any number of notifiers may run: news is locked while it is
told, and whatever is looked for has a `dedupe` that only one of them can write.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fallow.clock import Clock
from fallow.control.notices import Told, tell
from fallow.control.scheduler import capability_of
from fallow.control.texts import one_line
from fallow.core.matching import explain, mismatches
from fallow.core.notices import NoticeKind, end_of_job
from fallow.core.progress import Counters
from fallow.core.volunteers import is_volunteer
from fallow.core.words import JobKey, JobState, Micros
from fallow.settings import Settings
from fallow.store.port import JobRow, NewsRow, Store, Tx, WorkerRow

_NEWS_AT_ONCE: Final = 50
_PAGE: Final = 500
_LIVE: Final = (JobState.PLANNING, JobState.RUNNING)
_SILENCE_TOLD_SECONDS: Final = 7 * 86400  # who was silent longer when the notifier first looks is not coming back
_ENOUGH_ITEMS: Final = 20  # fewer say nothing about a rate
_ENOUGH_ATTEMPTS: Final = 10
_ERROR_SHARE: Final = 0.5  # of the job's own threshold: told while something can still be done
_ERROR_SHARE_MIN: Final = 0.05
_DISK_RELIEF: Final = 1.25  # times the threshold: a disk at its edge is one story, not a hundred
_FORGET_AT_ONCE: Final = 500

Room = Callable[[], int]


@dataclass(slots=True)
class _Stuck:
    """A job that nobody could take since a moment, at this count of attempts that were over."""

    since: Micros
    attempts_over: int


class Notifier:
    """One step tells what is known; `look` looks for what nobody moves. host: whose disk it is. room: bytes free."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, host: str, room: Room | None = None) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._host = host
        self._room = room or (lambda: free_bytes(settings.data_dir))
        self._started = clock.now()
        self._stuck: dict[JobKey, _Stuck] = {}

    def step(self) -> bool:
        """Tells the news. True when there was some."""
        with self._store.reading() as tx:
            if not tx.is_news():
                return False
        now = self._clock.now()
        with self._store.transaction() as tx:
            news = tx.news(_NEWS_AT_ONCE)
            for each in news:
                told = _end(tx, each)
                if told is not None:
                    tell(tx, told, now, self._settings)
                tx.drop_news(each.news_id)
        return bool(news)

    def look(self) -> bool:
        """Looks once. True when there was something to tell or to clear away."""
        found = [self._look_at_jobs(), self._look_at_workers(), self._look_at_disk(), self._forget()]
        return any(found)

    def _look_at_jobs(self) -> bool:
        now = self._clock.now()
        with self._store.reading() as tx:
            workers = tx.workers()
            jobs = _live_jobs(tx)
        stuck = {job.job_key: self._stuck_since(job, workers, now) for job in jobs}
        self._stuck = {key: each for key, each in stuck.items() if each is not None}
        told = []
        for job in jobs:
            since = stuck[job.job_key]
            if since is not None and since.since + self._settings.attention_seconds * 1e6 <= now:
                told.append(_waits(job, nobody_for(job, workers, now, self._settings)))
            if reason := troubled(job):
                told.append(_fails(job, reason))
        return self._tell_new(told, now)

    def _stuck_since(self, job: JobRow, workers: Sequence[WorkerRow], now: Micros) -> _Stuck | None:
        """Kept in memory: a notifier that starts anew waits anew, and the dedupe keeps it from telling twice."""
        if not nobody_for(job, workers, now, self._settings):
            return None
        known = self._stuck.get(job.job_key)
        over = job.counters.attempts_over
        return known if known is not None and known.attempts_over == over else _Stuck(now, over)

    def _look_at_workers(self) -> bool:
        """A silence begins with the last word: its moment names it. A server that was away itself heard nobody, so it
        listens first."""
        now = self._clock.now()
        patience = self._settings.worker_silent_seconds * 1e6
        if now < self._started + patience:
            return False
        with self._store.reading() as tx:
            workers = tx.workers(Micros(now - _SILENCE_TOLD_SECONDS * 1_000_000))
            silent = [each for each in workers if _says_goodbye(each) and each.seen_at + patience <= now]
            told = [_silence(each, account, now) for each in silent for account in _watchers(tx, each.account_id)]
        return self._tell_new(told, now)

    def _look_at_disk(self) -> bool:
        """Told when it falls under the threshold, and again only after it had room."""
        threshold = self._settings.disk_low_bytes
        if threshold <= 0:
            return False
        name, room, now = f"disk_low:{self._host}", self._room(), self._clock.now()
        with self._store.reading() as tx:
            since = tx.setting(name) or ""
        if since and room > threshold * _DISK_RELIEF:
            with self._store.transaction() as tx:
                tx.set_setting(name, "")
            return True
        if since or room >= threshold:
            return False
        with self._store.transaction() as tx:
            if tx.setting(name):
                return False
            tx.set_setting(name, str(now))
            for account in _watchers(tx):
                tell(tx, _disk(self._host, room, threshold, account, now), now, self._settings)
        return True

    def _forget(self) -> bool:
        before = Micros(self._clock.now() - self._settings.retention_seconds * 1_000_000)
        with self._store.reading() as tx:
            if not tx.is_notice_before(before):
                return False
        with self._store.transaction() as tx:
            return tx.forget_notices(before, _FORGET_AT_ONCE) > 0

    def _tell_new(self, told: Sequence[Told], now: Micros) -> bool:
        with self._store.reading() as tx:
            new = [each for each in told if not tx.was_told(each.dedupe)]
        if not new:
            return False
        with self._store.transaction() as tx:
            return any([tell(tx, each, now, self._settings) for each in new])  # noqa: C419  each is to be told


def free_bytes(folder: Path) -> int:
    """Room for this user on the folder's disk."""
    return shutil.disk_usage(folder).free


def nobody_for(job: JobRow, workers: Sequence[WorkerRow], now: Micros, settings: Settings) -> list[str]:
    """Sentences on why nobody can take any of the job now; empty when somebody can or does, or nothing is left."""
    counters = job.counters
    if counters.attempts_leased or not (counters.chunks_planned or counters.attempts_queued):
        return []
    fleet = [(row, capability_of(row, now, settings, job.account_id)) for row in workers]
    if reasons := explain(job.spec, [each for _, each in fleet]):
        return reasons
    fitting = [row for row, each in fleet if each.alive and not mismatches(job.spec, each)]
    resting = [row for row in fitting if row.backoff_until > now]
    if len(resting) < len(fitting):
        return []
    return [f"{row.worker_id} rests after {row.failures} failures in a row" for row in resting]


def _says_goodbye(row: WorkerRow) -> bool:
    """Whether its silence is news. A volunteer's machine is switched off when its owner goes home."""
    return not row.leaving and not is_volunteer(row.worker_id)


def troubled(job: JobRow) -> str:
    """Why a job that runs will probably not end well; "" when it looks well."""
    counters = job.counters
    ended = counters.items_done + counters.items_failed
    allowed = max(_ERROR_SHARE_MIN, _ERROR_SHARE * job.spec.retry.error_threshold)
    if ended >= _ENOUGH_ITEMS and counters.items_bad > allowed * ended:
        share = 100 * counters.items_bad / ended
        return f"{counters.items_bad} of the first {ended} items failed ({share:.0f} %)"
    bad = counters.attempts_errored + counters.attempts_lost + counters.attempts_invalid
    tried = counters.attempts_over + counters.attempts_lost
    if tried >= _ENOUGH_ATTEMPTS and bad > tried / 2:
        return f"{bad} of {tried} attempts failed"
    return ""


def _live_jobs(tx: Tx) -> list[JobRow]:
    found: list[JobRow] = []
    before: JobKey | None = None
    while True:
        page = tx.jobs(account_id=None, before=before, limit=_PAGE, states=_LIVE)
        found += page
        if len(page) < _PAGE:
            return found
        before = page[-1].job_key


def _watchers(tx: Tx, owner: str = "") -> list[str]:
    """Operators, and the owner; each once."""
    return list(dict.fromkeys([*([owner] if owner else []), *tx.watching_accounts()]))


def _end(tx: Tx, news: NewsRow) -> Told | None:
    """None when the job is gone: its owner erased it, and knows."""
    job = tx.job_by_key(news.job_key)
    if job is None:
        return None
    state = JobState(news.kind.partition(".")[2])
    is_batch = tx.is_batch(news.job_key)
    kind = end_of_job(state, is_batch=is_batch)
    body = [_outcome(job.counters)]
    if job.reason and state is not JobState.COMPLETED:
        body.insert(0, one_line(job.reason))
    return Told(
        job.account_id,
        kind,
        job.job_id,
        f"{'Batch' if is_batch else 'Job'} {_called(job)} {_ENDED[state]}",
        "\n".join(body),
        f"{kind}:{job.job_id}:{news.at}",
        {} if is_batch else _facts(job, state),
    )


_ENDED: Final = {
    JobState.COMPLETED: "is complete",
    JobState.FAILED: "has failed",
    JobState.CANCELLED: "was cancelled",
    JobState.EXPIRED: "has expired",
}


def _outcome(counters: Counters) -> str:
    good = counters.items_done - counters.items_error
    return f"{good:,} of {counters.items_total:,} items have an answer, {counters.items_bad:,} failed."


def _facts(job: JobRow, state: JobState) -> dict[str, object]:
    counters = job.counters
    return {
        "name": job.spec.name,
        "state": state.value,
        "items_total": counters.items_total,
        "items_done": counters.items_done,
        "items_failed": counters.items_bad,
        "reason": job.reason,
    }


def _called(job: JobRow) -> str:
    name = one_line(job.spec.name, 80).strip()
    return f"“{name}” ({job.job_id})" if name else job.job_id


def _waits(job: JobRow, reasons: Sequence[str]) -> Told:
    kind = NoticeKind.JOB_NEEDS_ATTENTION
    return Told(
        job.account_id,
        kind,
        job.job_id,
        f"Job {_called(job)} waits, and nobody can take it",
        "".join(f"{one_line(each)}.\n" for each in reasons) + "It goes on by itself when a worker that fits joins.",
        f"{kind}:{job.job_id}:waiting:{job.counters.attempts_over}",
        {**_facts(job, job.state), "problem": "waiting", "reasons": [one_line(each) for each in reasons]},
    )


def _fails(job: JobRow, reason: str) -> Told:
    kind = NoticeKind.JOB_NEEDS_ATTENTION
    return Told(
        job.account_id,
        kind,
        job.job_id,
        f"Job {_called(job)}: much fails",
        f"{reason}. Look at its failures before more time goes into it; it fails for good above its error threshold of "
        f"{100 * job.spec.retry.error_threshold:g} %.",
        f"{kind}:{job.job_id}:failing:{job.started_at or 0}",
        {**_facts(job, job.state), "problem": "failing", "reasons": [reason]},
    )


def _silence(worker: WorkerRow, account_id: str, now: Micros) -> Told:
    kind = NoticeKind.WORKER_SILENT
    minutes = max(1, (now - worker.seen_at) // 60_000_000)
    name = one_line(worker.name, 80).strip() or worker.worker_id
    return Told(
        account_id,
        kind,
        worker.worker_id,
        f"Worker {name} is silent",
        f"{worker.worker_id} was last heard of {minutes} minutes ago and did not say good-bye. What it held is run "
        "elsewhere.",
        f"{kind}:{worker.worker_id}:{worker.seen_at}:{account_id}",
        {"name": worker.name, "label": worker.label, "last_seen_at": worker.seen_at // 1_000_000},
    )


def _disk(host: str, room: int, threshold: int, account_id: str, now: Micros) -> Told:
    kind = NoticeKind.SERVER_DISK_LOW
    mib = 1024 * 1024
    return Told(
        account_id,
        kind,
        host,
        f"The disk of {host} is nearly full",
        f"The data directory has {room // mib:,} MiB left, less than {threshold // mib:,} MiB. Uploads are refused "
        "before nothing is left; erase jobs that are over, or give it more room.",
        f"{kind}:{host}:{now}:{account_id}",
        {"free_bytes": room, "threshold_bytes": threshold},
    )

"""The worker's calls: joining, and the one hot call that reports, heartbeats and asks.

Whatever is accepted here is durable when the answer leaves. Small answers are kept with the rows that name them.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from fallow.control.bodies import pack_key
from fallow.control.callers import Caller
from fallow.control.live_logs import take_logs
from fallow.control.places import Places
from fallow.control.reports import Opened, Reported, Verdict, judge, open_reports, packed
from fallow.control.scheduler import Offer, Scheduler
from fallow.control.signatures import checker
from fallow.control.tracing import Tracing
from fallow.core.changes import Change, MoveAttempt
from fallow.core.chunk import Case
from fallow.core.lifecycle import AttemptEvent, JobEvent
from fallow.core.live_log import LogPart
from fallow.core.progress import Counters, hopeless
from fallow.core.refusals import Code, Refusal
from fallow.core.settling import carry, settle
from fallow.core.words import AttemptId, FailureClass, JobKey, JobState, Label, Micros, Scope, WorkerId
from fallow.settings import Settings
from fallow.store.port import JobRow, Store, Tx, WorkerRow

_CLOCK_SKEW_SECONDS_MAX = 600.0
_BACKOFF_SECONDS_MAX = 300.0
_BATCH_MAX = 1000
_ACTIVE = (JobState.PLANNING, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Joining:
    """What a worker says of itself when it starts. capability: JSON. time: its clock. signature: of
    b"fallow-hello:" + session, by the key, which proves that the caller owns it."""

    public_key: bytes
    session: str
    name: str
    capability: str
    time: Micros
    label: Label | None
    signature: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """holding: attempts that the worker is at. leaving: it drains and wants nothing new. logs: what those wrote."""

    worker_id: WorkerId
    session: str
    want: int
    reports: Sequence[Reported]
    holding: Sequence[AttemptId]
    leaving: bool
    logs: Sequence[LogPart] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """stop: attempts that are not wanted any more. wait_seconds: before asking again when there is nothing to do.
    watched: held attempts whose logs somebody looks at."""

    verdicts: tuple[Verdict, ...]
    offers: tuple[Offer, ...]
    stop: tuple[AttemptId, ...]
    wait_seconds: float
    watched: tuple[AttemptId, ...] = ()


def worker_id_of(public_key: bytes) -> WorkerId:
    """A worker is its key."""
    return WorkerId("w-" + hashlib.sha256(public_key).hexdigest()[:16])


class Work:
    """Everything a worker can say."""

    def __init__(
        self,
        store: Store,
        places: Places,
        scheduler: Scheduler,
        settings: Settings,
        tracing: Tracing | None = None,
        watched: Callable[[], Collection[AttemptId]] = tuple,
    ) -> None:
        """watched: the attempts whose logs somebody looks at, of all workers."""
        self._store = store
        self._places = places
        self._scheduler = scheduler
        self._settings = settings
        self._watched = watched
        self._tracing = tracing

    def hello(self, caller: Caller, joining: Joining) -> tuple[WorkerId, str]:
        """The worker's id and a word for its owner. What an older session held is lost from now on.

        Raises Refusal BAD_REQUEST, CLOCK_SKEW or FORBIDDEN.
        """
        caller.needs(Scope.WORK)
        now = self._places.clock.now()
        _check_key(joining)
        skew = abs(joining.time - now) / 1e6
        worker_id = worker_id_of(joining.public_key)
        with self._store.transaction() as tx:
            known = tx.worker(worker_id)
            if known is not None and known.account_id != caller.account_id:
                raise Refusal(
                    Code.FORBIDDEN, "This worker belongs to somebody else.", "Give it a data directory of its own."
                )
            tx.save_worker(_row(worker_id, caller, joining, now))
            if known is not None and known.session != joining.session:
                self._lose(tx, worker_id, now)
        message = ""
        if skew > _CLOCK_SKEW_SECONDS_MAX:
            message = (
                f"Your clock is {skew:.0f} s off the server's. Leases are counted by the server, so work goes on; "
                "times in your receipts will be wrong until you set it (timedatectl set-ntp true)."
            )
        return worker_id, message

    def _lose(self, tx: Tx, worker_id: WorkerId, now: Micros) -> None:
        """The agent was started anew: what it held is gone. A spooled report is still taken."""
        held = tx.held(worker_id)
        cases = tx.cases_of_attempts(held)
        lost = set(held)
        changes: list[Change] = []
        for case in cases:
            step: list[Change] = [
                MoveAttempt(a.attempt_id, AttemptEvent.EXPIRE, "its worker was started anew")
                for a in case.attempts
                if a.attempt_id in lost
            ]
            carry(case, step)
            changes.extend(step)
            changes.extend(self._settled(tx, case, now))
        self._apply(tx, changes, now, f"worker {worker_id}")

    def ask(self, caller: Caller, asked: Asked) -> Outcome:
        """Reports, heartbeat and request in one. Raises Refusal WORKER_UNKNOWN or BAD_REQUEST."""
        caller.needs(Scope.WORK)
        if len(asked.reports) > _BATCH_MAX or asked.want > _BATCH_MAX or len(asked.holding) > _BATCH_MAX:
            raise Refusal(Code.BAD_REQUEST, f"At most {_BATCH_MAX} attempts go in one call.", "Split the call.")
        worker = self._worker(caller, asked)
        opened = open_reports(asked.reports, worker, self._settings.inline_bytes_max) if asked.reports else []
        now = self._places.clock.now()
        looked_at = self._watched() if asked.holding else ()
        with self._store.transaction() as tx:
            verdicts = self.take(tx, worker, opened, now) if opened else []
            worker = self.remember(tx, worker, opened, verdicts, now)
            deadline = Micros(now + int(self._settings.silence_seconds * 1e6))
            held = set(tx.extend(worker.worker_id, asked.holding, deadline)) if asked.holding else set()
            watched = held.intersection(looked_at)
            take_logs(tx, asked.logs, watched, now)
            want = 0 if asked.leaving else max(asked.want, 0)
            offers = self._scheduler.lease(tx, worker, want, now, len(held))
            tx.worker_seen(worker.worker_id, now, asked.leaving)
        stop = tuple(attempt_id for attempt_id in asked.holding if attempt_id not in held)
        return Outcome(tuple(verdicts), tuple(offers), stop, self._wait(worker, offers, now), tuple(sorted(watched)))

    def _worker(self, caller: Caller, asked: Asked) -> WorkerRow:
        with self._store.reading() as tx:
            worker = tx.worker(asked.worker_id)
        if worker is None or worker.account_id != caller.account_id or worker.session != asked.session:
            raise Refusal(
                Code.WORKER_UNKNOWN, "The server does not know this worker's session.", "Say hello and go on."
            )
        return worker

    def _wait(self, worker: WorkerRow, offers: Sequence[Offer], now: Micros) -> float:
        if offers:
            return 0.0
        if worker.backoff_until > now:
            return min((worker.backoff_until - now) / 1e6, self._settings.heartbeat_seconds)
        return min(1.0, self._settings.heartbeat_seconds)

    def take(self, tx: Tx, worker: WorkerRow, opened: Sequence[Opened], now: Micros) -> list[Verdict]:
        """Judges the reports and applies what follows. In a writing transaction."""
        by_attempt = {
            a.attempt_id: case
            for case in tx.cases_of_attempts([one.report.attempt_id for one in opened])
            for a in case.attempts
        }
        jobs: dict[JobKey, JobRow | None] = {}
        packs = packed(opened)
        keys: dict[str, str] = {}
        verdicts: list[Verdict] = []
        changes: list[Change] = []
        for one in opened:
            case = by_attempt.get(one.report.attempt_id)
            job = self._job_of(tx, case, jobs)
            if job is not None and job.job_id in packs and one.is_packed:
                keys[job.job_id] = pack_key(tx.add_pack(job.job_key, packs.pop(job.job_id)))
            key = keys.get(job.job_id, "") if job is not None else ""
            verdict, moves = judge(one, case, job.spec if job else None, worker.worker_id, key)
            verdicts.append(verdict)
            self._trace(one, verdict, case, job, worker)
            if case is not None and moves:
                carry(case, moves)
                changes.extend(moves)
                changes.extend(self._settled(tx, case, now, job))
        self._apply(tx, changes, now, f"worker {worker.worker_id}")
        return verdicts

    def _trace(self, one: Opened, verdict: Verdict, case: Case | None, job: JobRow | None, worker: WorkerRow) -> None:
        """The worker's steps, under the name of the attempt it really held."""
        if self._tracing and one.report.steps and case and job and verdict.verdict != "refused":
            attempt_id, steps = one.report.attempt_id, one.report.steps
            self._tracing.worked(job.job_id, case.chunk.chunk_id, attempt_id, worker.worker_id, steps)

    def _job_of(self, tx: Tx, case: Case | None, jobs: dict[JobKey, JobRow | None]) -> JobRow | None:
        if case is None:
            return None
        key = case.chunk.job_key
        if key not in jobs:
            jobs[key] = tx.job_by_key(key)
        return jobs[key]

    def _settled(self, tx: Tx, case: Case, now: Micros, job: JobRow | None = None) -> list[Change]:
        job = job or tx.job_by_key(case.chunk.job_key)
        return settle(case, job.spec, now) if job else []

    def _apply(self, tx: Tx, changes: list[Change], now: Micros, by: str) -> None:
        """Applies the changes, and then what follows for the pieces that a split has made."""
        apply_settled(tx, changes, now, by)

    def remember(
        self, tx: Tx, worker: WorkerRow, opened: Sequence[Opened], verdicts: Sequence[Verdict], now: Micros
    ) -> WorkerRow:
        """A worker that fails by its own fault rests, longer each time; a good answer clears its record."""
        bad = sum(_is_worker_fault(one.report, verdict) for one, verdict in zip(opened, verdicts, strict=True))
        good = sum(
            v.verdict != "refused" and one.report.failed is None for one, v in zip(opened, verdicts, strict=True)
        )
        failures, until = worker.failures, worker.backoff_until
        if bad:
            failures += bad
            until = Micros(now + int(min(2.0 ** min(failures, 10), _BACKOFF_SECONDS_MAX) * 1e6))
        elif good and failures:
            failures, until = 0, Micros(0)
        if (failures, until) == (worker.failures, worker.backoff_until):
            return worker
        tx.set_worker_backoff(worker.worker_id, failures, until)
        return replace(worker, failures=failures, backoff_until=until)


def apply_settled(tx: Tx, changes: list[Change], now: Micros, by: str) -> None:
    """Applies the changes, then what follows for pieces that a split made, and gives up jobs that are hopeless."""
    counters: dict[JobKey, Counters] = {}
    while changes:
        applied = tx.apply(changes, now, by)
        counters.update(applied.counters)
        changes = []
        for case in tx.cases(applied.new_chunks) if applied.new_chunks else ():
            job = tx.job_by_key(case.chunk.job_key)
            if job is not None:
                changes.extend(settle(case, job.spec, now))
    for job_key, now_counted in counters.items():
        if hopeless(now_counted):
            _give_up(tx, job_key, now_counted, now)


def _give_up(tx: Tx, job_key: JobKey, counters: Counters, now: Micros) -> None:
    job = tx.job_by_key(job_key)
    if job is not None and job.state in _ACTIVE and hopeless(counters, job.spec.quorum):
        failed = f"{counters.attempts_errored} attempts failed before the first good answer"
        reason = f"{failed}; {last_failure(tx, job)}"
        tx.move_job(job_key, JobEvent.FAIL, "hopeless", "transitioner", now, reason=reason)


def last_failure(tx: Tx, job: JobRow) -> str:
    """The newest failure of any attempt, in words."""
    for row in reversed(tx.chunk_rows(job.job_key, -1, 200)):
        if row.last_code:
            return f"the last one: {row.last_code}: {row.last_message}"
    return "see the story of any chunk"


def _is_worker_fault(report: Reported, verdict: Verdict) -> bool:
    if report.failed is not None:
        return report.failed.failure_class == FailureClass.WORKER
    return verdict.verdict == "refused" and verdict.code == Code.RECEIPT_INVALID


def _check_key(joining: Joining) -> None:
    try:
        owns = checker(joining.public_key)(b"fallow-hello:" + joining.session.encode(), joining.signature)
    except ValueError:
        owns = False
    if not owns:
        raise Refusal(
            Code.BAD_REQUEST, "The worker's key or its signature is not good.", "Start the worker with its own key."
        )
    if not joining.session or len(joining.session) > 128 or len(joining.name) > 200:
        raise Refusal(Code.BAD_REQUEST, "The worker's session or name is empty or too long.", "Use a newer agent.")


def _row(worker_id: WorkerId, caller: Caller, joining: Joining, now: Micros) -> WorkerRow:
    return WorkerRow(
        worker_id=worker_id,
        account_id=caller.account_id,
        name=joining.name,
        label=joining.label,
        public_key=joining.public_key,
        capability=joining.capability,
        session=joining.session,
        joined_at=now,
        seen_at=now,
    )

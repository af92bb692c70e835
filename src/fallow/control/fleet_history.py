"""The fleet as people see it: who is there, how each worker fares, what it did, why it rests."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

from fallow.clock import Clock
from fallow.control.callers import Caller
from fallow.control.volunteering import heard_since
from fallow.core.job import Image
from fallow.core.refusals import Code, Refusal
from fallow.core.words import AttemptId, JobId, Label, Micros, Scope, WorkerId
from fallow.settings import Settings
from fallow.store.port import Store, Tx, WorkerAttempt, WorkerBucket, WorkerRecord, WorkerRow

RECORD_ATTEMPTS = 100  # the newest of a worker, over which it is judged
_HISTORY_ATTEMPTS = 20_000  # at most are counted into one timeline
_BUCKETS = 120
_LEASES_MAX = 100
_HOUR = 3_600_000_000
_IMAGES_MAX = 100


class WorkerState(StrEnum):
    """What a worker is at. `active` and `idle` are the seed's words."""

    ACTIVE = "active"
    IDLE = "idle"
    RESTING = "resting"  # it failed by its own fault, and gets nothing for a while
    HELD = "held"  # an operator gives it nothing new
    LEAVING = "leaving"
    SILENT = "silent"


class Accelerator(msgspec.Struct, frozen=True):
    kind: str = ""
    model: str = ""
    memory_bytes: int = 0


class Said(msgspec.Struct, frozen=True):
    """What a worker said that it has. images: beginnings of the digests of images that it keeps for fallow."""

    platform: str = ""
    cores: float = 0.0
    memory_bytes: int = 0
    disk_bytes: int = 0
    slots: int = 1
    engines: tuple[str, ...] = ()
    contracts: tuple[str, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()
    version: str = ""
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """One worker. record: over its newest RECORD_ATTEMPTS. images: it ran them lately. kept: beginnings of digests of
    others that it says it has."""

    row: WorkerRow
    said: Said
    state: WorkerState
    record: WorkerRecord
    images: tuple[Image, ...]
    kept: tuple[str, ...]

    @property
    def items_per_second(self) -> float | None:
        """While it had anything to do; None when it did nothing lately."""
        record = self.record
        return record.items * 1e6 / record.busy_micros if record.busy_micros else None


@dataclass(frozen=True, slots=True)
class Asked:
    """Which workers: text is looked for in id, name, platform and what they have."""

    label: Label | None = None
    unlabelled: bool = False
    state: WorkerState | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """rows: of this page, in order of joining. following: `after` of the next page. counts: of the whole fleet, by
    state; slots, busy: of all that are heard of."""

    rows: tuple[Seen, ...]
    following: str | None
    found: int
    counts: Counter[WorkerState]
    slots: int
    busy: int


@dataclass(frozen=True, slots=True)
class Deed:
    """One attempt of a worker's history. job_id None: somebody else's job, of which nothing more is told."""

    attempt: WorkerAttempt
    job_id: JobId | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Spans of `span` microseconds from `since` to `until`; spans without a row were empty."""

    since: Micros
    until: Micros
    span: int
    rows: tuple[WorkerBucket, ...]


class Fleet:
    """Reads, and holds workers. Submitters and operators see every worker, its owner their own."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    def listed(self, caller: Caller, asked: Asked, after: str | None, limit: int) -> Page:
        """after: the last worker's id of the page before; one that is not there any more starts anew."""
        with self._store.reading() as tx:
            everyone, wanted, start = self._found(tx, caller, asked, after)
            page = wanted[start : start + limit]
            rows = tuple(self._seen(tx, row) for row in page)
        now = self._clock.now()
        states = [self.state(row, now) for row in everyone]
        heard = [row for row, state in zip(everyone, states, strict=True) if state is not WorkerState.SILENT]
        return Page(
            rows=rows,
            following=page[-1].worker_id if start + limit < len(wanted) else None,
            found=len(wanted),
            counts=Counter(states),
            slots=sum(said_of(row).slots for row in heard),
            busy=sum(row.attempts_leased for row in heard),
        )

    def rows(self, caller: Caller, asked: Asked, after: str | None, limit: int) -> list[tuple[WorkerRow, WorkerState]]:
        """The same page without what must be counted: cheap, for looking often."""
        now = self._clock.now()
        with self._store.reading() as tx:
            _, wanted, start = self._found(tx, caller, asked, after)
        return [(row, self.state(row, now)) for row in wanted[start : start + limit]]

    def _found(
        self, tx: Tx, caller: Caller, asked: Asked, after: str | None
    ) -> tuple[list[WorkerRow], list[WorkerRow], int]:
        """All that the caller may see, those of them that are asked for, and where among these the page starts."""
        now = self._clock.now()
        everyone = [row for row in tx.workers() if _may_see(caller, row)]
        wanted = [row for row in everyone if _is_asked(row, self.state(row, now), asked)]
        return everyone, wanted, next((n + 1 for n, row in enumerate(wanted) if row.worker_id == after), 0)

    def _seen(self, tx: Tx, row: WorkerRow) -> Seen:
        ran, kept = _images(row, tx.worker_images(row.worker_id, RECORD_ATTEMPTS))
        record = tx.worker_record(row.worker_id, RECORD_ATTEMPTS)
        return Seen(row, said_of(row), self.state(row, self._clock.now()), record, ran, kept)

    def worker(self, caller: Caller, worker_id: str) -> Seen:
        """Raises Refusal NOT_FOUND."""
        with self._store.reading() as tx:
            row = self._visible(caller, tx.worker(WorkerId(worker_id)), worker_id)
            return self._seen(tx, row)

    def history(
        self, caller: Caller, worker_id: str, before: int | None, limit: int
    ) -> tuple[list[Deed], AttemptId | None]:
        """A page of what it did, newest first, and `before` of the next one. Raises Refusal NOT_FOUND."""
        with self._store.reading() as tx:
            row = self._visible(caller, tx.worker(WorkerId(worker_id)), worker_id)
            found = tx.worker_attempts(row.worker_id, None if before is None else AttemptId(before), limit + 1)
        deeds = [_deed(caller, row, each) for each in found[:limit]]
        return deeds, found[limit - 1].attempt_id if len(found) > limit else None

    def leases(self, caller: Caller, worker_id: str) -> list[Deed]:
        """What it holds now, oldest first. Raises Refusal NOT_FOUND."""
        with self._store.reading() as tx:
            row = self._visible(caller, tx.worker(WorkerId(worker_id)), worker_id)
            found = tx.worker_leases(row.worker_id, _LEASES_MAX)
        return [_deed(caller, row, each) for each in found]

    def timeline(self, caller: Caller, worker_id: str, hours: int) -> Timeline:
        """Up to now. Raises Refusal NOT_FOUND."""
        now = self._clock.now()
        span = max(hours, 1) * _HOUR // _BUCKETS
        since = Micros((now - _BUCKETS * span) // span * span + span)
        with self._store.reading() as tx:
            row = self._visible(caller, tx.worker(WorkerId(worker_id)), worker_id)
            rows = tx.worker_buckets(row.worker_id, since, span, _HISTORY_ATTEMPTS)
        return Timeline(since, now, span, tuple(rows))

    def hold(self, caller: Caller, worker_id: str) -> None:
        """It gets nothing new until it is released; what it holds it may finish. Raises NOT_FOUND or FORBIDDEN."""
        self._set_held(caller, worker_id, self._clock.now())

    def release(self, caller: Caller, worker_id: str) -> None:
        """It gets work again. Raises Refusal NOT_FOUND or FORBIDDEN."""
        self._set_held(caller, worker_id, Micros(0))

    def may_hold(self, caller: Caller, row: WorkerRow) -> bool:
        """Operators any worker, owners their own."""
        return caller.sees_all or (Scope.WORK in caller.scopes and row.account_id == caller.account_id)

    def _set_held(self, caller: Caller, worker_id: str, at: Micros) -> None:
        with self._store.transaction() as tx:
            row = self._visible(caller, tx.worker(WorkerId(worker_id)), worker_id)
            if not self.may_hold(caller, row):
                raise Refusal(
                    Code.FORBIDDEN, "Only an operator or its owner can hold a worker.", "Ask one of them to do it."
                )
            tx.hold_worker(row.worker_id, at)

    def _visible(self, caller: Caller, row: WorkerRow | None, worker_id: str) -> WorkerRow:
        if row is None or not _may_see(caller, row):
            raise Refusal(Code.NOT_FOUND, f"There is no worker {worker_id[:60]!r}.", "See the list of workers.")
        return row

    def state(self, row: WorkerRow, now: Micros) -> WorkerState:
        """What it is at; the first of these that is so."""
        if row.seen_at <= heard_since(row, now, self._settings):
            return WorkerState.SILENT
        if row.leaving:
            return WorkerState.LEAVING
        if row.held_at:
            return WorkerState.HELD
        if row.backoff_until > now:
            return WorkerState.RESTING
        return WorkerState.ACTIVE if row.attempts_leased else WorkerState.IDLE


def said_of(row: WorkerRow) -> Said:
    """What it said of itself; nothing where that cannot be read."""
    try:
        return msgspec.json.decode(row.capability, type=Said)
    except msgspec.DecodeError:
        return Said()


def _may_see(caller: Caller, row: WorkerRow) -> bool:
    return caller.sees_all or Scope.SUBMIT in caller.scopes or row.account_id == caller.account_id


def _is_asked(row: WorkerRow, state: WorkerState, asked: Asked) -> bool:
    if asked.state is not None and state is not asked.state:
        return False
    if asked.label is not None and row.label != asked.label:
        return False
    if asked.unlabelled and row.label is not None:
        return False
    text = asked.text.casefold().strip()
    return not text or any(text in where.casefold() for where in (row.worker_id, row.name, row.capability))


def _images(row: WorkerRow, ran: Sequence[Image]) -> tuple[tuple[Image, ...], tuple[str, ...]]:
    """Those it ran, and the others that it says it keeps."""
    kept = said_of(row).images[:_IMAGES_MAX]
    others = tuple(each for each in kept if not any(image.digest.startswith(each) for image in ran))
    return tuple(ran), others


def _deed(caller: Caller, worker: WorkerRow, attempt: WorkerAttempt) -> Deed:
    """Whose job it is, whose worker it ran on, and operators may know which; what went wrong may quote the input."""
    if caller.sees_all or caller.account_id in (attempt.account_id, worker.account_id):
        return Deed(attempt, attempt.job_id)
    return Deed(replace(attempt, job_id=JobId(""), account_id="", message=""), None)

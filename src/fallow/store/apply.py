"""apply(): a list of changes, checked against the tables move by move, written as one statement per table.

Several moves of one row in one call become one update of the row; the story keeps each of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fallow.core.changes import Change, CutChunk, MoveAttempt, MoveChunk, QueueAttempts
from fallow.core.chapter import UNKNOWN
from fallow.core.chunk import Answer, Attempt, Chunk, ItemFault
from fallow.core.job import Homogeneous, JobSpec
from fallow.core.lifecycle import (
    CHUNK_OVER,
    AttemptEvent,
    ChunkEvent,
    IllegalMove,
    attempt_after,
    chunk_after,
)
from fallow.core.transition import FAULTS_COUNTED
from fallow.core.volunteers import is_volunteer
from fallow.core.words import AttemptId, AttemptState, ChunkId, ChunkState, JobKey, Micros
from fallow.store.ledger import ATTEMPTS_ERRORED, ITEMS_DONE, ITEMS_ERROR, ITEMS_FAILED, OF_ATTEMPT, OF_CHUNK, Ledger
from fallow.store.port import ChunkRef, Touched
from fallow.store.rows import ANSWER_COLUMNS, answer_values, artifact_values, storable
from fallow.store.session import Row, Session

INSERT_CHUNK = (
    "job_key",
    "chunk_id",
    "state",
    "version",
    "item_start",
    "item_count",
    "extent_start",
    "extent_length",
    "extent_skip",
    "extent_sha256",
    "answers_wanted",
    "prior_errors",
    "attempts_after",
    "parent_id",
    "canonical_id",
    "fault_code",
    "fault_message",
)
INSERT_QUEUED = ("attempt_id", "job_key", "chunk_id", "state", "queued_at")
INSERT_SALVAGED = (
    "attempt_id",
    "job_key",
    "chunk_id",
    "state",
    "worker_id",
    "queued_at",
    "leased_at",
    "over_at",
    "items_done",
    "item_errors",
    "artifact_key",
    "artifact_sha256",
    "artifact_size_bytes",
    "artifact_offset",
    "items_root",
    "envelope",
)
UPDATE_CHUNK = ("state", "answers_wanted", "canonical_id", "fault_code", "fault_message", "job_key", "chunk_id")
MOVE_ATTEMPT = ("state", "over_at", "late", "checked", "attempt_id")
REPORT_ATTEMPT = (*MOVE_ATTEMPT, *ANSWER_COLUMNS)

# With these an attempt is over, or as good as: its worker is through with it.
_ENDS = frozenset({AttemptEvent.REPORT, AttemptEvent.FAIL, AttemptEvent.EXPIRE, AttemptEvent.DROP, AttemptEvent.ABORT})

# These say how a worker has done: a volunteer's reputation and credit follow from them.
_VERDICTS = frozenset(
    {AttemptEvent.AGREE, AttemptEvent.DISAGREE, AttemptEvent.FAIL, AttemptEvent.EXPIRE, AttemptEvent.ABORT}
)
INSERT_VERDICT = ("attempt_id", "event")


@dataclass(slots=True)
class ChunkNow:
    """A locked chunk: as it was read, and where the moves of this transaction have brought it."""

    chunk: Chunk
    state: ChunkState
    answers_wanted: int
    canonical_id: AttemptId | None
    fault: ItemFault | None
    attempts: list["AttemptNow"] = field(default_factory=list)


@dataclass(slots=True)
class AttemptNow:
    """A locked attempt, likewise. of: its chunk. since: when it came into the state that it was read in."""

    attempt: Attempt
    of: ChunkNow
    state: AttemptState
    checked: bool
    since: Micros
    answer: Answer | None = None
    over_at: Micros | None = None


Ref = tuple[JobKey, ChunkId]  # a plain tuple: hashed ten times a chunk, where ChunkRef costs five times as much


class Rows(Protocol):
    """What apply needs of the transaction."""

    session: Session
    ledger: Ledger

    def chunk_now(self, ref: Ref) -> ChunkNow:
        """The locked row. Raises IllegalMove when there is none."""
        ...

    def attempt_now(self, attempt_id: AttemptId) -> AttemptNow: ...
    def lock_for(self, changes: Sequence[Change]) -> None:
        """Locks and reads those rows of the changes that this transaction has not locked yet."""
        ...

    def attempt_numbers(self, count: int) -> Sequence[int]:
        """Numbers for `count` new attempts, ascending."""
        ...

    def chunk_numbers(self, job_key: JobKey, count: int) -> range: ...
    def spec(self, job_key: JobKey) -> JobSpec: ...


def apply(rows: Rows, changes: Sequence[Change], now: Micros, by: str) -> Touched:
    """Makes the moves. Raises IllegalMove, and the transaction must be rolled back."""
    rows.lock_for(changes)
    work = _Work(rows, changes, now, by)
    for change in changes:
        if isinstance(change, MoveAttempt):
            work.move_attempt(change)
        elif isinstance(change, MoveChunk):
            work.move_chunk(change)
        elif isinstance(change, QueueAttempts):
            work.queue_attempts(change)
        else:
            work.cut_chunk(change)
    work.write()
    return Touched({key: rows.ledger.counters(key) for key in work.jobs}, tuple(work.new_chunks))


class _Work:
    """The moves of one call, before they are written."""

    def __init__(self, rows: Rows, changes: Sequence[Change], now: Micros, by: str) -> None:
        self._rows = rows
        self._ledger = rows.ledger
        self._now = now
        self._by = by
        self._chunks: dict[Ref, ChunkNow] = {}
        self._attempts: dict[AttemptId, AttemptNow] = {}
        self._born_chunks: list[Row] = []
        self._queued: list[Row] = []
        self._salvaged: list[Row] = []
        self._verdicts: list[Row] = []
        self._heirs: list[tuple[CutChunk, ChunkId]] = []
        self._numbers = iter(rows.attempt_numbers(sum(map(_births, changes))))
        self._chunk_numbers = _chunk_numbers(rows, changes)
        self.new_chunks: list[ChunkRef] = []
        self.jobs: dict[JobKey, None] = {}  # in order of touching

    def move_attempt(self, change: MoveAttempt) -> None:
        found = self._rows.attempt_now(change.attempt_id)
        attempt = found.attempt
        before, after = found.state, attempt_after(found.state, change.event)
        found.state = after
        found.checked = found.checked or change.checked
        if change.answer is not None:
            found.answer = change.answer
        if after is AttemptState.ERRORED and (found.answer is None or found.answer.failure_class not in FAULTS_COUNTED):
            self._ledger.deltas(attempt.job_key)[ATTEMPTS_ERRORED] -= 1  # nobody's fault: told, and not counted
        age = self._now - (found.over_at or found.since)
        if change.event in _ENDS:
            found.over_at = self._now
        self._attempts[change.attempt_id] = found
        if change.event in _VERDICTS and is_volunteer(attempt.worker_id):
            self._verdicts.append((change.attempt_id, change.event.value))
        key, chunk_id, attempt_id, cause = attempt.job_key, attempt.chunk_id, attempt.attempt_id, change.cause
        self._tell_attempt(key, chunk_id, attempt_id, before, after, change.event, cause, age, _word(found, before))

    def move_chunk(self, change: MoveChunk) -> None:
        ref = (change.job_key, change.chunk_id)
        found = self._rows.chunk_now(ref)
        if change.event is ChunkEvent.RERUN:
            raise IllegalMove("a chunk runs again through reopen_chunks() only, which also dates its attempts")
        before, after = found.state, chunk_after(found.state, change.event)
        found.state = after
        if change.event is ChunkEvent.ACCEPT:
            self._accept(found, change)
        if change.fault is not None:
            found.fault = change.fault
        if change.answers_wanted is not None:
            found.answers_wanted = change.answers_wanted
        if after is ChunkState.FAILED:
            self._ledger.deltas(change.job_key)[ITEMS_FAILED] += found.chunk.item_count
        self._chunks[ref] = found
        self._tell_chunk(change.job_key, change.chunk_id, before, after, change.event, change.cause)

    def _accept(self, found: ChunkNow, change: MoveChunk) -> None:
        if change.canonical is None:
            raise IllegalMove("a chunk cannot accept without a canonical attempt")
        canonical = self._rows.attempt_now(change.canonical)
        if canonical.of is not found:
            raise IllegalMove(f"attempt {change.canonical} is not one of chunk {change.chunk_id}")
        found.canonical_id = change.canonical
        source = canonical.answer or canonical.attempt
        deltas = self._ledger.deltas(change.job_key)
        deltas[ITEMS_DONE] += found.chunk.item_count
        deltas[ITEMS_ERROR] += source.item_errors

    def queue_attempts(self, change: QueueAttempts) -> None:
        found = self._rows.chunk_now((change.job_key, change.chunk_id))
        if found.state in CHUNK_OVER:
            raise IllegalMove(f"a chunk that is {found.state} cannot have another attempt")
        self._queue(change.job_key, change.chunk_id, change.count, change.cause)

    def cut_chunk(self, change: CutChunk) -> None:
        chunk_id = ChunkId(next(self._chunk_numbers[change.job_key]))
        extent = change.extent
        planned = chunk_after(None, ChunkEvent.PLAN)
        opened = chunk_after(planned, ChunkEvent.OPEN)
        cause = f"cut from chunk {change.parent_id}"
        self._born_chunks.append(
            (
                change.job_key,
                chunk_id,
                opened.value,
                0,
                change.item_start,
                change.item_count,
                extent.start,
                extent.length,
                extent.skip,
                extent.sha256,
                change.answers_wanted,
                change.prior_errors,
                0,
                change.parent_id,
                None,
                None,
                None,
            )
        )
        self._tell_chunk(change.job_key, chunk_id, None, planned, ChunkEvent.PLAN, cause)
        self._tell_chunk(change.job_key, chunk_id, planned, opened, ChunkEvent.OPEN, cause)
        if change.salvage is not None:
            self._salvage(change, chunk_id, self._rows.attempt_now(change.salvage))
            self._heirs.append((change, chunk_id))
        self._queue(change.job_key, chunk_id, change.answers_wanted - (change.salvage is not None))
        self.new_chunks.append(ChunkRef(change.job_key, chunk_id))

    def _salvage(self, change: CutChunk, chunk_id: ChunkId, failed: AttemptNow) -> None:
        attempt_id = AttemptId(next(self._numbers))
        state = attempt_after(None, AttemptEvent.SALVAGE)
        source = failed.answer or failed.attempt
        envelope = failed.answer.envelope if failed.answer else self._envelope(failed.attempt.attempt_id)
        self._salvaged.append(
            (
                attempt_id,
                change.job_key,
                chunk_id,
                state.value,
                failed.attempt.worker_id,
                self._now,
                self._now,
                self._now,
                change.item_count,
                source.item_errors,
                *artifact_values(source.artifact),
                source.items_root,
                envelope or None,
            )
        )
        cause = f"finished before attempt {failed.attempt.attempt_id} failed"
        self._tell_attempt(change.job_key, chunk_id, attempt_id, None, state, AttemptEvent.SALVAGE, cause)

    def _envelope(self, attempt_id: AttemptId) -> bytes:
        row = self._rows.session.one("envelope", {"attempt_id": attempt_id})
        return bytes(row[0] or b"") if row else b""

    def _queue(self, job_key: JobKey, chunk_id: ChunkId, count: int, cause: str = "") -> None:
        state = attempt_after(None, AttemptEvent.QUEUE)
        for _ in range(count):
            attempt_id = AttemptId(next(self._numbers))
            self._queued.append((attempt_id, job_key, chunk_id, state.value, self._now))
            self._tell_attempt(job_key, chunk_id, attempt_id, None, state, AttemptEvent.QUEUE, cause)

    def _tell_attempt(
        self,
        job_key: JobKey,
        chunk_id: ChunkId,
        attempt_id: AttemptId,
        before: AttemptState | None,
        after: AttemptState,
        event: AttemptEvent,
        cause: str,
        age: int = UNKNOWN,
        word: str = "",
    ) -> None:
        self.jobs[job_key] = None
        deltas = self._ledger.deltas(job_key)
        if before is not None:
            for place in OF_ATTEMPT[before]:
                deltas[place] -= 1
        for place in OF_ATTEMPT[after]:
            deltas[place] += 1
        said = storable(cause)
        self._ledger.tell(
            self._now, job_key, chunk_id, attempt_id, before or "", after, event, said, self._by, age, word
        )

    def _tell_chunk(
        self,
        job_key: JobKey,
        chunk_id: ChunkId,
        before: ChunkState | None,
        after: ChunkState,
        event: ChunkEvent,
        cause: str,
    ) -> None:
        self.jobs[job_key] = None
        deltas = self._ledger.deltas(job_key)
        if before is not None:
            deltas[OF_CHUNK[before]] -= 1
        deltas[OF_CHUNK[after]] += 1
        self._ledger.tell(self._now, job_key, chunk_id, None, before or "", after, event, storable(cause), self._by)

    def write(self) -> None:
        """One statement per table and kind of change."""
        many = self._rows.session.many
        if self._born_chunks:
            many("insert_chunks", INSERT_CHUNK, self._born_chunks)
        if self._queued:
            many("insert_queued", INSERT_QUEUED, self._queued)
        if self._salvaged:
            many("insert_salvaged", INSERT_SALVAGED, self._salvaged)
        for change, chunk_id in self._heirs:
            self._inherit_class(change, chunk_id)
        if self._verdicts:
            many("insert_verdicts", INSERT_VERDICT, self._verdicts)
        self._write_attempts()
        if self._chunks:
            many("update_chunks", UPDATE_CHUNK, [_chunk_values(each) for each in self._chunks.values()])

    def _inherit_class(self, change: CutChunk, chunk_id: ChunkId) -> None:
        """The head of a failed attempt is an answer: a second one must come from the same class of machines."""
        if self._rows.spec(change.job_key).verify.homogeneous is not Homogeneous.NONE:
            params = {"job_key": change.job_key, "parent_id": change.parent_id, "chunk_id": chunk_id}
            self._rows.session.run("inherit_chunk_class", params)

    def _write_attempts(self) -> None:
        for each in self._chunks.values():
            if each.state in CHUNK_OVER:  # an answer that is still open now counts as late
                late = (other for other in each.attempts if _is_late(other))
                self._attempts.update((other.attempt.attempt_id, other) for other in late)
        ordered = [self._attempts[key] for key in sorted(self._attempts)]
        reported = [(*_move_values(a), *answer_values(a.answer)) for a in ordered if a.answer is not None]
        moved = [_move_values(a) for a in ordered if a.answer is None]
        if reported:
            self._rows.session.many("report_attempts", REPORT_ATTEMPT, reported)
        if moved:
            self._rows.session.many("move_attempts", MOVE_ATTEMPT, moved)


def _word(now: AttemptNow, before: AttemptState) -> str:
    """What a witness is told beside the move: whose fault, or that it came too late."""
    if now.state is AttemptState.ERRORED and now.answer is not None:
        return now.answer.failure_class or ""
    return "late" if before is AttemptState.REPORTED and now.of.state in CHUNK_OVER else ""


def _births(change: Change) -> int:
    if isinstance(change, QueueAttempts):
        return change.count
    return change.answers_wanted if isinstance(change, CutChunk) else 0


def _chunk_numbers(rows: Rows, changes: Sequence[Change]) -> dict[JobKey, Iterator[int]]:
    cuts: dict[JobKey, int] = {}
    for change in changes:
        if isinstance(change, CutChunk):
            cuts[change.job_key] = cuts.get(change.job_key, 0) + 1
    return {key: iter(rows.chunk_numbers(key, cuts[key])) for key in sorted(cuts)}


def _chunk_values(now: ChunkNow) -> Row:
    fault = now.fault
    return (
        now.state.value,
        now.answers_wanted,
        now.canonical_id,
        fault.code if fault else None,
        storable(fault.message) if fault else None,
        now.chunk.job_key,
        now.chunk.chunk_id,
    )


def _move_values(now: AttemptNow) -> Row:
    return now.state.value, now.over_at, int(_is_late(now)), int(now.checked), now.attempt.attempt_id


def _is_late(now: AttemptNow) -> bool:
    """Whether it is an answer of the chunk's current run that nobody has judged and the chunk is over."""
    over = now.state is AttemptState.REPORTED and now.of.state in CHUNK_OVER
    return over and now.attempt.attempt_id > now.of.chunk.attempts_after

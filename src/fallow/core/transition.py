"""What must happen to a chunk next: the transitioner's decision, as a pure function.

Source of the rules: BOINC's sched/transitioner.cpp, handle_wu(), and the failure classes of docs/lifecycle.md.
"""

from collections.abc import Sequence

from fallow.core.changes import Change, CutChunk, MoveAttempt, MoveChunk, QueueAttempts
from fallow.core.chunk import Attempt, Case, Chunk, ItemFault
from fallow.core.job import RetryPolicy
from fallow.core.lifecycle import CHUNK_OVER, AttemptEvent, ChunkEvent
from fallow.core.slicing import Piece, pieces_after_failure
from fallow.core.words import AttemptState, ChunkState, FailureClass, Micros

_ACTIVE = frozenset({AttemptState.QUEUED, AttemptState.LEASED})
_ANSWERS = frozenset({AttemptState.REPORTED, AttemptState.VALID})
FAULTS_COUNTED = frozenset({FailureClass.SUBMITTER, FailureClass.WORKER, FailureClass.LIMITS})
FAULTS_SPLITTING = frozenset({FailureClass.SUBMITTER, FailureClass.LIMITS})


def next_changes(case: Case, retry: RetryPolicy, now: Micros) -> list[Change]:
    """What must happen to this chunk now; empty when nothing must.

    case.attempts: oldest first. Applied and asked again, it reaches a fixed point. Never raises.
    """
    late = [a for a in case.attempts if a.state is AttemptState.LEASED and a.deadline is not None and a.deadline <= now]
    if late:
        return [
            MoveAttempt(a.attempt_id, AttemptEvent.EXPIRE, f"{a.worker_id} was silent past the lease") for a in late
        ]
    if case.chunk.state in CHUNK_OVER:
        return _drop([a for a in case.attempts if a.state in _ACTIVE])
    if case.chunk.state is not ChunkState.OPEN:
        return []
    return _next_of_open(case.chunk, case.attempts, retry)


def _next_of_open(chunk: Chunk, attempts: Sequence[Attempt], retry: RetryPolicy) -> list[Change]:
    answers = [a for a in attempts if a.state in _ANSWERS]
    active = [a for a in attempts if a.state in _ACTIVE]
    if len(answers) >= chunk.answers_wanted:
        cause = "the answer is in" if chunk.answers_wanted == 1 else f"{len(answers)} answers are in"
        return [MoveChunk(chunk.job_key, chunk.chunk_id, ChunkEvent.VERIFY, cause)]
    culprit = _splitting_failure(chunk, attempts)
    if culprit is not None and not answers:
        return _split(chunk, active, culprit)
    missing = chunk.answers_wanted - len(answers) - len(active)
    if missing <= 0:
        return []
    exhausted = _why_no_more(chunk, attempts, missing, retry)
    if exhausted is not None and culprit is not None:
        return _split(chunk, active, culprit)
    if exhausted is not None:
        return [] if _leased(active) else [*_drop(active), _fail(chunk, exhausted)]
    return [QueueAttempts(chunk.job_key, chunk.chunk_id, missing)]


def _splitting_failure(chunk: Chunk, attempts: Sequence[Attempt]) -> Attempt | None:
    """The first failure that a smaller piece may get round, if any."""
    if chunk.item_count < 2:
        return None
    failed = (a for a in attempts if a.state is AttemptState.ERRORED and a.failure_class in FAULTS_SPLITTING)
    return next(failed, None)


def _split(chunk: Chunk, active: Sequence[Attempt], culprit: Attempt) -> list[Change]:
    pieces = pieces_after_failure(chunk.item_start, chunk.item_count, culprit.items_done, culprit.bad_item)
    return [
        *_drop(active),
        MoveChunk(chunk.job_key, chunk.chunk_id, ChunkEvent.SPLIT, f"{culprit.code}: {culprit.message}"),
        *(_cut(chunk, piece, culprit) for piece in pieces),
    ]


def _cut(chunk: Chunk, piece: Piece, culprit: Attempt) -> CutChunk:
    skip = chunk.extent.skip + piece.item_start - chunk.item_start
    return CutChunk(
        job_key=chunk.job_key,
        parent_id=chunk.chunk_id,
        item_start=piece.item_start,
        item_count=piece.item_count,
        extent=type(chunk.extent)(chunk.extent.start, chunk.extent.length, skip, chunk.extent.sha256),
        prior_errors=1 if piece.suspect else 0,
        answers_wanted=chunk.answers_wanted,
        salvage=culprit.attempt_id if piece.finished and culprit.artifact is not None else None,
    )


def _drop(active: Sequence[Attempt]) -> list[Change]:
    """Takes back what was handed out for nothing: queued attempts are dropped, leased ones stopped."""
    return [
        MoveAttempt(
            a.attempt_id,
            AttemptEvent.DROP if a.state is AttemptState.QUEUED else AttemptEvent.ABORT,
            "not needed any more",
        )
        for a in active
    ]


def _leased(active: Sequence[Attempt]) -> bool:
    return any(a.state is AttemptState.LEASED for a in active)


def _why_no_more(chunk: Chunk, attempts: Sequence[Attempt], missing: int, retry: RetryPolicy) -> ItemFault | None:
    """The fault of the chunk's items when `missing` further attempts may not be made, else None.

    prior_errors alone condemn nobody: the suspect is run by itself at least once, so that the fault is its own.
    """
    counted = [a for a in attempts if _counts_as_error(a)]
    if counted and len(counted) + chunk.prior_errors >= retry.max_errors:
        return _fault_of(counted)
    tried = [a for a in attempts if _counts_as_try(a)]
    if len(tried) + missing <= retry.max_attempts:
        return None
    if sum(a.state in _ANSWERS for a in attempts) > 1:
        return ItemFault("no_agreement", "Too few answers of different workers agree.")
    enough = "No worker" if chunk.answers_wanted == 1 else "Too few workers"
    return ItemFault("too_many_attempts", f"{enough} finished this piece in {retry.max_attempts} attempts.")


def _counts_as_error(attempt: Attempt) -> bool:
    if attempt.state is AttemptState.INVALID:
        return True
    return attempt.state is AttemptState.ERRORED and attempt.failure_class in FAULTS_COUNTED


def _counts_as_try(attempt: Attempt) -> bool:
    if attempt.state in (AttemptState.DROPPED, AttemptState.ABORTED):
        return False
    return not (attempt.state is AttemptState.ERRORED and attempt.failure_class not in FAULTS_COUNTED)


def _fault_of(counted: Sequence[Attempt]) -> ItemFault:
    """What to say of the items: the submitter's failure if there was one, for it says most."""
    for attempt in reversed(counted):
        if attempt.failure_class in FAULTS_SPLITTING:
            return ItemFault(attempt.code, attempt.message)
    last = counted[-1] if counted else None
    if last is None or last.state is AttemptState.INVALID:
        return ItemFault("not_verified", "No answer for this piece passed verification.")
    return ItemFault(last.code, last.message)


def _fail(chunk: Chunk, fault: ItemFault) -> MoveChunk:
    return MoveChunk(chunk.job_key, chunk.chunk_id, ChunkEvent.FAIL, f"{fault.code}: {fault.message}", fault=fault)

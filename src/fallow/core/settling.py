"""Carrying a case forward in memory: what a chunk and its attempts become when changes are applied to them.

The store applies the same changes to the rows. This lets one call decide several steps and write them at once.
"""

from collections.abc import Iterable
from dataclasses import replace

from fallow.core.changes import Change, CutChunk, MoveAttempt, MoveChunk, QueueAttempts
from fallow.core.chunk import Attempt, Case
from fallow.core.job import JobSpec
from fallow.core.lifecycle import AttemptEvent, ChunkEvent, attempt_after, chunk_after
from fallow.core.transition import next_changes
from fallow.core.words import AttemptId, AttemptState, ChunkState, Micros


def settle(case: Case, spec: JobSpec, now: Micros) -> list[Change]:
    """All changes that follow from the case as it stands, up to the fixed point; `case` is carried along.

    A chunk that wants one answer is accepted at once when that answer was checked at the door. Whether the job runs is
    not asked: nothing is leased of one that does not, and one that goes on needs what was queued meanwhile.
    """
    made: list[Change] = []
    while True:
        step = _accepted(case, spec) or next_changes(case, spec.retry, now)
        # A disagreement may have raised what the whole wanted; its pieces start with the job's own quorum.
        step = [
            replace(change, answers_wanted=spec.quorum) if isinstance(change, CutChunk) else change for change in step
        ]
        if not step:
            return made
        made.extend(step)
        carry(case, step)


def _accepted(case: Case, spec: JobSpec) -> list[Change]:
    """The verdict on a chunk that needs no comparison and no further look at its bytes."""
    chunk = case.chunk
    if chunk.state is not ChunkState.VERIFYING or spec.quorum != 1 or spec.plugins.verifier:
        return []
    checked = next((a for a in case.attempts if a.state is AttemptState.REPORTED and a.checked), None)
    if checked is None:
        return []
    return [
        MoveAttempt(checked.attempt_id, AttemptEvent.AGREE, "hash, lines and signature are good"),
        MoveChunk(chunk.job_key, chunk.chunk_id, ChunkEvent.ACCEPT, "verified", canonical=checked.attempt_id),
    ]


def carry(case: Case, changes: Iterable[Change]) -> None:
    """Apply the changes to the case. Changes about other chunks are passed over. Raises IllegalMove."""
    for change in changes:
        if isinstance(change, MoveAttempt):
            case.attempts[:] = [_moved(a, change) if a.attempt_id == change.attempt_id else a for a in case.attempts]
        elif isinstance(change, MoveChunk) and change.chunk_id == case.chunk.chunk_id:
            _move_chunk(case, change)
        elif isinstance(change, QueueAttempts) and change.chunk_id == case.chunk.chunk_id:
            case.attempts.extend(_unborn(case, number) for number in range(change.count))


def _moved(attempt: Attempt, change: MoveAttempt) -> Attempt:
    state = attempt_after(attempt.state, change.event)
    answer = change.answer
    if answer is None:
        return replace(attempt, state=state, checked=attempt.checked or change.checked)
    return replace(
        attempt,
        state=state,
        checked=change.checked,
        failure_class=answer.failure_class,
        code=answer.code,
        message=answer.message,
        items_done=answer.items_done,
        item_errors=answer.item_errors,
        bad_item=answer.bad_item,
        artifact=answer.artifact,
        items_root=answer.items_root,
    )


def _move_chunk(case: Case, change: MoveChunk) -> None:
    chunk = case.chunk
    wanted = chunk.answers_wanted if change.answers_wanted is None else change.answers_wanted
    case.chunk = replace(
        chunk,
        state=chunk_after(chunk.state, change.event),
        answers_wanted=wanted,
        canonical_id=change.canonical if change.event is ChunkEvent.ACCEPT else chunk.canonical_id,
        fault=change.fault or chunk.fault,
    )


def _unborn(case: Case, number: int) -> Attempt:
    """A stand-in for an attempt whose id the database will choose."""
    return Attempt(AttemptId(-1 - number), case.chunk.job_key, case.chunk.chunk_id, AttemptState.QUEUED)

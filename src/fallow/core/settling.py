"""Carrying a case forward in memory: what a chunk and its attempts become when changes are applied to them.

The store applies the same changes to the rows. This lets one call decide several steps and write them at once.
"""

from collections.abc import Iterable
from dataclasses import replace

from fallow.core.agreement import answers_needed
from fallow.core.changes import Change, CutChunk, MoveAttempt, MoveChunk, QueueAttempts
from fallow.core.chunk import Attempt, Case, Chunk
from fallow.core.job import JobSpec
from fallow.core.lifecycle import AttemptEvent, ChunkEvent, attempt_after, chunk_after
from fallow.core.transition import next_changes
from fallow.core.words import AttemptId, AttemptState, ChunkState, Micros


def settle(case: Case, spec: JobSpec, now: Micros) -> list[Change]:
    """All changes that follow from the case as it stands, up to the fixed point; `case` is carried along.

    A chunk that wants one answer is accepted at once when that answer was checked at the door. Whether the job runs is
    not asked: nothing is leased of one that does not, and one that goes on needs what was queued meanwhile.
    """
    made = _accepted_at_once(case, spec)
    if made:
        carry(case, made)
        return made
    return settle_stepwise(case, spec, now)


def settle_stepwise(case: Case, spec: JobSpec, now: Micros) -> list[Change]:
    """settle() by asking again and again, for any case."""
    made: list[Change] = []
    while True:
        step = _accepted(case, spec) or next_changes(case, spec.retry, now)
        # A disagreement may have raised what the whole wanted; its pieces start with what it needs.
        needed = answers_needed(case.chunk, spec)
        step = [replace(change, answers_wanted=needed) if isinstance(change, CutChunk) else change for change in step]
        if not step:
            return made
        made.extend(step)
        carry(case, step)


def _accepted_at_once(case: Case, spec: JobSpec) -> list[Change]:
    """All that happens to a chunk whose only attempt has given a checked answer, where one is enough; else nothing.

    Nearly every chunk takes this way, so it is written out: tests hold it against settle_stepwise().
    """
    chunk = case.chunk
    if chunk.state is not ChunkState.OPEN or chunk.answers_wanted != 1 or len(case.attempts) != 1:
        return []
    attempt = case.attempts[0]
    if attempt.state is not AttemptState.REPORTED or not attempt.checked or not _needs_no_comparison(chunk, spec):
        return []
    return [
        MoveChunk(chunk.job_key, chunk.chunk_id, ChunkEvent.VERIFY, "the answer is in"),
        *_accepting(chunk, attempt),
    ]


def _needs_no_comparison(chunk: Chunk, spec: JobSpec) -> bool:
    return answers_needed(chunk, spec) == 1 and not spec.plugins.verifier


def _accepted(case: Case, spec: JobSpec) -> list[Change]:
    """The verdict on a chunk that needs no comparison and no further look at its bytes."""
    chunk = case.chunk
    if chunk.state is not ChunkState.VERIFYING or not _needs_no_comparison(chunk, spec):
        return []
    checked = next((a for a in case.attempts if a.state is AttemptState.REPORTED and a.checked), None)
    return [] if checked is None else _accepting(chunk, checked)


def _accepting(chunk: Chunk, checked: Attempt) -> list[Change]:
    return [
        MoveAttempt(checked.attempt_id, AttemptEvent.AGREE, "hash, lines and signature are good"),
        MoveChunk(chunk.job_key, chunk.chunk_id, ChunkEvent.ACCEPT, "verified", canonical=checked.attempt_id),
    ]


def carry(case: Case, changes: Iterable[Change]) -> None:
    """Apply the changes to the case. Changes about other chunks are passed over. Raises IllegalMove."""
    for change in changes:
        if isinstance(change, MoveAttempt):
            for place, attempt in enumerate(case.attempts):
                if attempt.attempt_id == change.attempt_id:
                    case.attempts[place] = _moved(attempt, change)
        elif isinstance(change, MoveChunk) and change.chunk_id == case.chunk.chunk_id:
            _move_chunk(case, change)
        elif isinstance(change, QueueAttempts) and change.chunk_id == case.chunk.chunk_id:
            case.attempts.extend(_unborn(case, number) for number in range(change.count))


def _moved(attempt: Attempt, change: MoveAttempt) -> Attempt:
    # Spelled out, here and below: dataclasses.replace() costs three times as much, and each chunk needs it four times.
    state = attempt_after(attempt.state, change.event)
    said = change.answer or attempt
    return Attempt(
        attempt.attempt_id,
        attempt.job_key,
        attempt.chunk_id,
        state,
        attempt.worker_id,
        attempt.deadline,
        said.failure_class,
        said.code,
        said.message,
        said.items_done,
        said.item_errors,
        said.bad_item,
        said.artifact,
        said.items_root,
        change.checked or (change.answer is None and attempt.checked),
    )


def _move_chunk(case: Case, change: MoveChunk) -> None:
    chunk = case.chunk
    case.chunk = Chunk(
        chunk.job_key,
        chunk.chunk_id,
        chunk_after(chunk.state, change.event),
        chunk.version,
        chunk.item_start,
        chunk.item_count,
        chunk.extent,
        chunk.answers_wanted if change.answers_wanted is None else change.answers_wanted,
        chunk.prior_errors,
        chunk.attempts_after,
        chunk.parent_id,
        change.canonical if change.event is ChunkEvent.ACCEPT else chunk.canonical_id,
        change.fault or chunk.fault,
    )


def _unborn(case: Case, number: int) -> Attempt:
    """A stand-in for an attempt whose id the database will choose."""
    return Attempt(AttemptId(-1 - number), case.chunk.job_key, case.chunk.chunk_id, AttemptState.QUEUED)

"""What must be true after every step, whatever went wrong: looked up in the rows themselves, by SQL of its own."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fallow.core.lifecycle import (
    ATTEMPT,
    ATTEMPT_OVER,
    CHUNK,
    JOB,
    JOB_OVER,
    AttemptEvent,
    ChunkEvent,
    JobEvent,
)
from fallow.core.progress import COUNTER_NAMES
from fallow.core.transition import FAULTS_COUNTED
from fallow.core.words import AttemptState, ChunkState, JobState, Kind

Moves = set[tuple[str, str, str]]  # kind, state before, event
Row = tuple[Any, ...]
Key = tuple[int, int | None, int | None]  # job, chunk, attempt
_CHUNK_COUNTERS = ("planned", "open", "verifying", "done", "failed", "cancelled", "split")
_ANSWERED = ("reported", "valid")
_QUERY = {
    "jobs": "SELECT j.job_key, j.state, j.claim_owner, j.claim_until, j.need, j.items_total, j.items_done,"
    " j.items_error, j.items_failed, j.chunks_planned, j.chunks_open, j.chunks_verifying, j.chunks_done,"
    " j.chunks_failed, j.chunks_cancelled, j.chunks_split, j.attempts_queued, j.attempts_leased, j.attempts_over,"
    " j.attempts_errored, j.attempts_lost, j.attempts_invalid, j.plan_next_item, t.spec ->> '$.input.range.start',"
    " CASE t.spec ->> '$.verify.method' WHEN 'quorum' THEN t.spec ->> '$.verify.quorum' ELSE 1 END,"
    " t.spec ->> '$.verify.adaptive'"
    " FROM job AS j JOIN job_text AS t USING (job_key)",
    "chunks": "SELECT job_key, chunk_id, state, item_start, item_count, attempts_after, canonical_id, answers_wanted"
    " FROM chunk"
    " ORDER BY job_key, item_start, chunk_id",
    "attempts": "SELECT attempt_id, job_key, chunk_id, state, worker_id, item_errors,"
    " failure_class FROM attempt ORDER BY attempt_id",
    "story": "SELECT story_id, job_key, chunk_id, attempt_id, from_state, to_state, event FROM story"
    " WHERE story_id > ? ORDER BY story_id",
}


class Broken(AssertionError):
    """An invariant does not hold. job_key, chunk_id: whose story tells most."""

    def __init__(self, sentence: str, job_key: int | None = None, chunk_id: int | None = None) -> None:
        super().__init__(sentence)
        self.job_key = job_key
        self.chunk_id = chunk_id


@dataclass(slots=True)
class Auditor:
    """Looks at all rows when something changed since the last look. fired: rows of the tables that were seen used."""

    connection: sqlite3.Connection
    fired: Moves = field(default_factory=set)
    _states: dict[Key, str] = field(default_factory=dict)
    _told: int = 0
    _changes: int = -1

    def look(self) -> None:
        """Raises Broken."""
        changes = self.connection.total_changes
        if changes == self._changes:
            return
        self._changes = changes
        self._replay()
        jobs = self.connection.execute(_QUERY["jobs"]).fetchall()
        chunks = self.connection.execute(_QUERY["chunks"]).fetchall()
        attempts = self.connection.execute(_QUERY["attempts"]).fetchall()
        vanishing = self._check_replay(jobs, chunks, attempts)
        for job in jobs:
            if job[0] not in vanishing:
                _check_job(
                    job, [row for row in chunks if row[0] == job[0]], [row for row in attempts if row[1] == job[0]]
                )

    def _replay(self) -> None:
        """Story rows since the last look, each a legal move from where the one before has led."""
        for row in self.connection.execute(_QUERY["story"], (self._told,)):
            story_id, job, chunk, attempt, before, after, event = row
            self._told = story_id
            kind = Kind.JOB if chunk is None else Kind.CHUNK if attempt is None else Kind.ATTEMPT
            name = f"{kind} {attempt if attempt is not None else chunk if chunk is not None else job}"
            if self._states.get((job, chunk, attempt), "") != before:
                raise Broken(f"{name} was not {before or 'unborn'} when it had to {event}", job, chunk)
            if legal_after(kind, before, event) != after:
                raise Broken(f"{name}: {before} -> {event} -> {after} is not in the tables", job, chunk)
            self._states[job, chunk, attempt] = after
            self.fired.add((kind.value, before, event))

    def _check_replay(self, jobs: Sequence[Row], chunks: Sequence[Row], attempts: Sequence[Row]) -> set[int]:
        """The story leads to the rows. Gives the jobs that are being deleted, whose rows go in steps."""
        there: dict[Key, str] = {(row[0], None, None): row[1] for row in jobs}
        there.update({(row[0], row[1], None): row[2] for row in chunks})
        there.update({(row[1], row[2], row[0]): row[3] for row in attempts})
        over = {row[0] for row in jobs if row[1] in JOB_OVER}
        vanishing: set[int] = set()
        if there == self._states:
            return vanishing
        known = {row[0] for row in jobs}
        self._states = {key: state for key, state in self._states.items() if key[0] in known}
        for key in there.keys() | self._states.keys():
            has, told = there.get(key), self._states.get(key)
            if has is None and key[0] in over:
                vanishing.add(key[0])
            elif has != told:
                raise Broken(f"{key} is {has}, and its story ends with {told}", key[0], key[1])
        return vanishing


def _check_job(job: Row, chunks: Sequence[Row], attempts: Sequence[Row]) -> None:
    by_chunk: dict[int, list[Row]] = {}
    for row in attempts:
        by_chunk.setdefault(row[2], []).append(row)
    for row in chunks:
        needed = 1 if job[25] and row[7] == 1 else int(job[24])  # with adaptive replication, of a trusted worker
        _check_chunk(row, by_chunk.get(row[1], []), needed)
    _check_counters(job, chunks, attempts)
    _check_cover(job, [row for row in chunks if row[2] != ChunkState.SPLIT])


def _check_chunk(chunk: Row, attempts: Sequence[Row], quorum: int) -> None:
    """No worker answers twice; a chunk that is done has enough valid answers and one canonical among them."""
    job_key, chunk_id, state, _, _, attempts_after, canonical, _ = chunk
    current = [row for row in attempts if row[0] > attempts_after]
    answered = Counter(row[4] for row in current if row[3] in _ANSWERED)
    for worker, count in answered.items():
        if count > 1:
            raise Broken(f"worker {worker} answered chunk {chunk_id} {count} times", job_key, chunk_id)
    holding = Counter(row[4] for row in current if row[3] == AttemptState.LEASED)
    for worker, count in holding.items():
        if count > 1:
            raise Broken(f"worker {worker} holds {count} attempts of chunk {chunk_id}", job_key, chunk_id)
    if state == ChunkState.DONE:
        valid = {row[0]: row[4] for row in current if row[3] == AttemptState.VALID}
        if canonical not in valid or len(set(valid.values())) < quorum:
            raise Broken(f"chunk {chunk_id} is done by {canonical} with the valid answers {valid}", job_key, chunk_id)


def _check_counters(job: Row, chunks: Sequence[Row], attempts: Sequence[Row]) -> None:
    errors = {row[0]: row[5] for row in attempts}
    done = [row for row in chunks if row[2] == ChunkState.DONE]
    of_chunks, of_attempts = Counter(row[2] for row in chunks), Counter(row[3] for row in attempts)
    recounted = (
        sum(row[4] for row in chunks if row[2] != ChunkState.SPLIT),
        sum(row[4] for row in done),
        sum(errors.get(row[6], 0) for row in done),
        sum(row[4] for row in chunks if row[2] == ChunkState.FAILED),
        *(of_chunks[state] for state in _CHUNK_COUNTERS),
        of_attempts[AttemptState.QUEUED],
        of_attempts[AttemptState.LEASED],
        sum(of_attempts[state] for state in ATTEMPT_OVER),
        sum(row[3] == AttemptState.ERRORED and row[6] in FAULTS_COUNTED for row in attempts),
        of_attempts[AttemptState.LOST],
        of_attempts[AttemptState.INVALID],
    )
    if recounted != job[5:22]:
        wrong = [
            f"{name} {kept} for {real}"
            for name, kept, real in zip(COUNTER_NAMES, job[5:22], recounted, strict=True)
            if kept != real
        ]
        raise Broken(f"the counters of job {job[0]} are wrong: {', '.join(wrong)}", job[0])


def _check_cover(job: Row, chunks: Sequence[Row]) -> None:
    """Chunks that were not split cover every item that was planned exactly once. chunks: in item order."""
    at = int(job[23] or 0)
    for row in chunks:
        if row[3] != at:
            raise Broken(f"chunk {row[1]} of job {job[0]} starts at item {row[3]}, and {at} is next", job[0], row[1])
        at += row[4]
    if chunks and at != job[22]:
        raise Broken(f"the chunks of job {job[0]} end at item {at}, and the planner is at {job[22]}", job[0])


def legal_after(kind: Kind, before: str, event: str) -> str:
    """The state that the tables lead to; "" when they lead nowhere."""
    if kind is Kind.JOB:
        return JOB.get((JobState(before) if before else None, JobEvent(event)), "")
    if kind is Kind.CHUNK:
        return CHUNK.get((ChunkState(before) if before else None, ChunkEvent(event)), "")
    return ATTEMPT.get((AttemptState(before) if before else None, AttemptEvent(event)), "")


def all_moves() -> Moves:
    """Every row of every table."""
    moves: Moves = {("job", state or "", event) for state, event in JOB}
    moves |= {("chunk", state or "", event) for state, event in CHUNK}
    return moves | {("attempt", state or "", event) for state, event in ATTEMPT}

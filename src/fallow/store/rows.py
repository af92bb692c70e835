"""Rows as core values and back. The order of a tuple's values is that of the statement's columns in queries/."""

from typing import Any

import msgspec

from fallow.core.chunk import Answer, Artifact, Attempt, Case, Chunk, Extent, ItemFault
from fallow.core.job import JobSpec
from fallow.core.progress import COUNTER_NAMES, Counters
from fallow.core.words import AttemptState, ChunkState, FailureClass, JobState, Kind, Scope
from fallow.store.port import (
    AccountRow,
    AttemptRow,
    ChunkRow,
    JobRow,
    KeyRow,
    Leased,
    PlanCursor,
    ResultRow,
    StoryRow,
    SubmitRight,
    WorkerRow,
)
from fallow.store.session import Row

# A dictionary costs a tenth of calling the enumeration, and these are built by the thousand.
_CHUNK_STATES = {state.value: state for state in ChunkState}
_ATTEMPT_STATES = {state.value: state for state in AttemptState}
_FAILURES: dict[str | None, FailureClass | None] = {None: None, **{each.value: each for each in FailureClass}}

JOB_BEFORE_COUNTERS = 10
JOB_AFTER_COUNTERS = JOB_BEFORE_COUNTERS + len(COUNTER_NAMES)
ATTEMPT_WIDTH = 18


def spec_text(spec: JobSpec) -> str:
    return msgspec.json.encode(spec).decode()


def spec_of(text: str) -> JobSpec:
    return msgspec.json.decode(text, type=JobSpec)


def job_of(row: Row, spec: JobSpec) -> JobRow:
    key, job_id, account, state, created, started, finished, position, next_item, done = row[:JOB_BEFORE_COUNTERS]
    memory, reason, output = row[JOB_AFTER_COUNTERS:]
    return JobRow(
        job_key=key,
        job_id=job_id,
        account_id=account,
        state=JobState(state),
        spec=spec,
        counters=Counters(*row[JOB_BEFORE_COUNTERS:JOB_AFTER_COUNTERS]),
        plan=PlanCursor(position, next_item, bool(done), memory),
        created_at=created,
        started_at=started,
        finished_at=finished,
        reason=reason,
        output=output,
    )


def chunk_of(row: Row) -> Chunk:
    return Chunk(
        row[0],
        row[1],
        _CHUNK_STATES[row[2]],
        row[3],
        row[4],
        row[5],
        Extent(row[6], row[7], row[8], row[9]),
        row[10],
        row[11],
        row[12],
        row[13],
        row[14],
        fault_of(row[15], row[16]),
    )


def fault_of(code: str | None, message: str | None) -> ItemFault | None:
    return None if code is None else ItemFault(code, message or "")


def attempt_of(row: Row) -> Attempt:
    return Attempt(
        row[0],
        row[1],
        row[2],
        _ATTEMPT_STATES[row[3]],
        row[4],
        row[5],
        _FAILURES[row[6]],
        row[7],
        row[8],
        row[9],
        row[10],
        row[11],
        artifact_of(row[12], row[13], row[14], row[15]),
        row[16],
        bool(row[17]),
    )


def artifact_of(key: str | None, sha256: str, size_bytes: int, offset: int) -> Artifact | None:
    return None if key is None else Artifact(key, sha256, size_bytes, offset)


def artifact_values(artifact: Artifact | None) -> tuple[Any, Any, Any, Any]:
    """key, sha256, size, offset; all None where there is none."""
    if artifact is None:
        return None, None, None, None
    return artifact.key, artifact.sha256, artifact.size_bytes, artifact.offset


def attempt_row_of(row: Row) -> AttemptRow:
    queued, leased, over, envelope, exit_code, tail, log_size, cpu, memory = row[ATTEMPT_WIDTH:]
    return AttemptRow(
        attempt=attempt_of(row[:ATTEMPT_WIDTH]),
        queued_at=queued,
        leased_at=leased,
        over_at=over,
        envelope=bytes(envelope or b""),
        exit_code=exit_code,
        log_tail=tail,
        log_size_bytes=log_size,
        cpu_seconds=cpu,
        memory_bytes_max=memory,
    )


def answer_values(answer: Answer) -> Row:
    """In the order of ANSWER_COLUMNS."""
    return (
        answer.failure_class and answer.failure_class.value,
        storable(answer.code),
        storable(answer.message),
        answer.items_done,
        answer.item_errors,
        answer.bad_item,
        *artifact_values(answer.artifact),
        answer.items_root,
        answer.exit_code,
        answer.log_size_bytes,
        answer.cpu_seconds,
        answer.memory_bytes_max,
        storable(answer.log_tail),
        answer.envelope or None,
    )


ANSWER_COLUMNS = (
    "failure_class",
    "code",
    "message",
    "items_done",
    "item_errors",
    "bad_item",
    "artifact_key",
    "artifact_sha256",
    "artifact_size_bytes",
    "artifact_offset",
    "items_root",
    "exit_code",
    "log_size_bytes",
    "cpu_seconds",
    "memory_bytes_max",
    "log_tail",
    "envelope",
)


def storable(text: str) -> str:
    """PostgreSQL's text cannot hold NUL and neither database lone surrogates, and this text comes from strangers."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


_MADE = frozenset(AttemptState) - {AttemptState.QUEUED, AttemptState.DROPPED}


def chunk_row_of(case: Case) -> ChunkRow:
    failed = [a for a in case.attempts if a.state is AttemptState.ERRORED]
    last = failed[-1] if failed else None
    return ChunkRow(
        case=case,
        attempts_made=sum(a.state in _MADE for a in case.attempts),
        leased=any(a.state is AttemptState.LEASED for a in case.attempts),
        invalid=any(a.state is AttemptState.INVALID for a in case.attempts),
        last_code=last.code if last else "",
        last_message=last.message if last else "",
    )


def leased_of(row: Row) -> Leased:
    return Leased(row[0], row[1], row[2], row[3], Extent(row[4], row[5], row[6], row[7]))


def result_of(row: Row) -> ResultRow:
    chunk_id, state, start, count, code, message, attempt, worker = row[:8]
    if attempt is None:
        return ResultRow(chunk_id, _CHUNK_STATES[state], start, count, fault_of(code, message))
    return ResultRow(
        chunk_id=chunk_id,
        state=_CHUNK_STATES[state],
        item_start=start,
        item_count=count,
        fault=fault_of(code, message),
        attempt_id=attempt,
        worker_id=worker,
        artifact=artifact_of(row[8], row[9], row[10], row[11]),
        items_root=row[12],
        item_errors=row[13],
        envelope=bytes(row[14] or b""),
        answers_wanted=row[15],
    )


def worker_of(row: Row) -> WorkerRow:
    return WorkerRow(
        worker_id=row[0],
        account_id=row[1],
        name=row[2],
        label=row[3],
        public_key=bytes(row[4]),
        capability=row[5],
        session=row[6],
        joined_at=row[7],
        seen_at=row[8],
        failures=row[9],
        backoff_until=row[10],
        leaving=bool(row[11]),
        attempts_leased=row[12],
        held_at=row[13],
    )


def key_of(row: Row) -> KeyRow:
    scopes = frozenset(Scope(word) for word in row[4].split())
    return KeyRow(row[0], row[1], row[2], row[3], scopes, row[5], row[6], row[7])


def account_of(row: Row) -> AccountRow:
    account_id, name, created, scopes, email, confirmed, password, share, used, used_at, right, disabled = row
    return AccountRow(
        account_id=account_id,
        name=name,
        created_at=created,
        scopes=frozenset(Scope(word) for word in scopes.split()),
        email=email,
        email_confirmed_at=confirmed,
        password=password,
        share=share,
        used=used,
        used_at=used_at,
        submit_right=SubmitRight(right),
        disabled_at=disabled,
    )


def story_of(row: Row) -> StoryRow:
    story_id, at, job_key, chunk_id, attempt_id, before, after, event, cause, by = row
    kind = Kind.JOB if chunk_id is None else Kind.CHUNK if attempt_id is None else Kind.ATTEMPT
    return StoryRow(story_id, at, kind, job_key, chunk_id, attempt_id, before, after, event, cause, by)

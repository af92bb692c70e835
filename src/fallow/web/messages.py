"""Rows, outwards: what control gives becomes what the door says."""

import json
from typing import Any

import msgspec

from fallow.core.job import JobSpec
from fallow.core.progress import COUNTER_NAMES, Counters
from fallow.core.receipt import parse_statement
from fallow.core.refusals import Refusal
from fallow.core.words import Micros
from fallow.protocols.rest.jobs import (
    AttemptView,
    ChunkView,
    JobDetail,
    JobSummary,
    KeyView,
    NewKey,
    Progress,
    StoryLine,
    WorkerView,
    moment,
    seed_chunk_status,
    seed_job_status,
    seed_verification,
)
from fallow.protocols.rest.submissions import verify_text
from fallow.store.port import AttemptRow, ChunkRow, JobRow, KeyRow, StoryRow, WorkerRow


def job_summary(row: JobRow) -> JobSummary:
    return JobSummary(**_summary(row))


def job_detail(row: JobRow, chunks: list[ChunkRow], chunks_next: int | None, why_waiting: list[str]) -> JobDetail:
    """chunks: the first page; chunks_next: where the next begins, None when there is none."""
    return JobDetail(
        **_summary(row),
        input_uri=row.spec.input.uri,
        output_uri=row.spec.output_uri,
        container_image=row.spec.image.reference if row.spec.image else None,
        chunks=[chunk_view(each) for each in chunks],
        chunks_next=chunks_next,
        why_waiting=why_waiting,
        output=_object(row.output),
        spec=_spec(row.spec),
    )


def _summary(row: JobRow) -> dict[str, Any]:
    return {
        "job_id": row.job_id,
        "status": seed_job_status(row.state, _anything_ran(row.counters)),
        "created_at": moment(row.created_at),
        "progress": _progress(row.counters),
        "state": row.state,
        "name": row.spec.name,
        "reason": row.reason,
        "started_at": moment(row.started_at),
        "finished_at": moment(row.finished_at),
    }


def _anything_ran(counters: Counters) -> bool:
    return bool(counters.attempts_leased or counters.attempts_over or counters.chunks_done or counters.chunks_verifying)


def _progress(counters: Counters) -> Progress:
    return Progress(
        completed_chunks=counters.chunks_done,
        total_chunks=counters.chunks_total,
        total_items=counters.items_total,
        completed_items=counters.items_done,
        error_items=counters.items_bad,
        counters={name: getattr(counters, name) for name in COUNTER_NAMES},
    )


def _spec(spec: JobSpec) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(spec, enc_hook=dict)
    plain["verify"]["text"] = verify_text(spec.verify)
    return plain


def chunk_view(row: ChunkRow) -> ChunkView:
    chunk = row.case.chunk
    reason = chunk.fault.message if chunk.fault else row.last_message
    return ChunkView(
        chunk_id=chunk.chunk_id,
        status=seed_chunk_status(chunk.state, row.leased),
        retries=max(0, row.attempts_made - 1),
        failure_reason=reason or None,
        verification=seed_verification(chunk.state, row.invalid),
        state=chunk.state,
        item_start=chunk.item_start,
        item_end=chunk.item_end,
        parent_id=chunk.parent_id,
    )


def attempt_view(row: AttemptRow) -> AttemptView:
    """receipt: the statement that was signed; None when there is none."""
    attempt = row.attempt
    return AttemptView(
        attempt_id=attempt.attempt_id,
        chunk_id=attempt.chunk_id,
        state=attempt.state,
        worker_id=attempt.worker_id,
        queued_at=moment(row.queued_at),
        leased_at=moment(row.leased_at),
        over_at=moment(row.over_at),
        failure_class=attempt.failure_class,
        code=attempt.code,
        message=attempt.message,
        items_done=attempt.items_done,
        item_errors=attempt.item_errors,
        exit_code=row.exit_code,
        log_tail=row.log_tail,
        log_size_bytes=row.log_size_bytes,
        cpu_seconds=row.cpu_seconds,
        memory_bytes_max=row.memory_bytes_max,
        artifact_sha256=attempt.artifact.sha256 if attempt.artifact else None,
        receipt=_statement(row.envelope),
    )


def worker_view(row: WorkerRow, seen_after: Micros, now: Micros) -> WorkerView:
    """seen_after: a worker that was last heard of before is not alive."""
    return WorkerView(
        worker_id=row.worker_id,
        label=row.label,
        state="active" if row.attempts_leased else "idle",
        last_seen=_text(row.seen_at),
        name=row.name,
        alive=row.seen_at >= seen_after,
        leaving=row.leaving,
        capability=_object(row.capability) or {},
        attempts_leased=row.attempts_leased,
        failures=row.failures,
        backoff_until=moment(row.backoff_until) if row.backoff_until > now else None,
    )


def story_line(row: StoryRow) -> StoryLine:
    return StoryLine(
        story_id=row.story_id,
        at=_text(row.at),
        kind=row.kind,
        chunk_id=row.chunk_id,
        attempt_id=row.attempt_id,
        from_state=row.from_state,
        to_state=row.to_state,
        event=row.event,
        cause=row.cause,
        by=row.by,
    )


def key_view(row: KeyRow) -> KeyView:
    return KeyView(**_key(row))


def new_key(row: KeyRow, key: str) -> NewKey:
    return NewKey(**_key(row), key=key)


def _key(row: KeyRow) -> dict[str, Any]:
    return {
        "key_id": row.key_id,
        "account_id": row.account_id,
        "name": row.name,
        "scopes": sorted(row.scopes),
        "created_at": moment(row.created_at),
        "expires_at": moment(row.expires_at),
        "revoked_at": moment(row.revoked_at),
    }


def _text(at: Micros) -> str:
    return moment(at) or ""


def _object(text: str) -> dict[str, Any] | None:
    found = json.loads(text) if text else None
    return found if isinstance(found, dict) else None


def _statement(envelope: bytes) -> dict[str, Any] | None:
    """The signed words of an envelope that was checked when it came in; None when there is none."""
    if not envelope:
        return None
    payload = msgspec.json.decode(envelope, type=_Envelope).payload
    try:
        parse_statement(payload)
    except Refusal:
        return None
    return _object(payload.decode())


class _Envelope(msgspec.Struct):
    payload: bytes

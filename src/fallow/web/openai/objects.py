"""Rows as /v1 shows them."""

import json
from collections.abc import Sequence
from typing import Any

from fallow.control.batches import Batch
from fallow.control.uploads import Uploaded
from fallow.core.job import MIB
from fallow.core.words import JobState, Micros
from fallow.protocols.openai.messages import (
    BatchError,
    BatchErrors,
    BatchObject,
    FileObject,
    InputDetails,
    ModelObject,
    OutputDetails,
    Page,
    RequestCounts,
    UploadObject,
    UploadPart,
    Usage,
)
from fallow.protocols.openai.status import status_of
from fallow.store.port import FileRow, JobRow, ModelRow, UploadPartRow

EXTRA_BYTES_MAX = MIB // 64


def seconds(at: Micros | None) -> int | None:
    """A moment as OpenAI writes it."""
    return None if at is None else at // 1_000_000


def file_object(row: FileRow) -> FileObject:
    return FileObject(
        id=row.file_id,
        bytes=row.size_bytes,
        created_at=row.created_at // 1_000_000,
        filename=row.filename,
        purpose=row.purpose,
        expires_at=seconds(row.expires_at),
    )


def upload_object(uploaded: Uploaded) -> UploadObject:
    row = uploaded.row
    return UploadObject(
        id=row.upload_id,
        bytes=row.size_bytes,
        created_at=row.created_at // 1_000_000,
        expires_at=row.expires_at // 1_000_000,
        filename=row.filename,
        purpose=row.purpose,
        status=row.state.value,
        file=file_object(uploaded.file) if uploaded.file is not None else None,
    )


def upload_part(row: UploadPartRow) -> UploadPart:
    return UploadPart(id=row.part_id, created_at=row.created_at // 1_000_000, upload_id=row.upload_id)


def model_object(row: ModelRow) -> ModelObject:
    return ModelObject(
        id=row.name,
        created=row.created_at // 1_000_000,
        owned_by=row.account_id,
        x_fallow_endpoints=list(row.endpoints),
    )


def page_of(items: Sequence[Any], more: bool) -> Page:
    """One page of a list; its items have an `id`, which the next page's `after` names."""
    return Page(
        data=list(items),
        first_id=items[0].id if items else None,
        last_id=items[-1].id if items else None,
        has_more=more,
    )


def batch_object(batch: Batch) -> BatchObject:
    """The batch as it is now: its status and moments follow from the job's state and the row's."""
    row, job = batch.row, batch.job
    status = status_of(job.state, validated=row.in_progress_at is not None, published=row.published_at is not None)
    kept = json.loads(row.metadata)
    over_at = job.finished_at or row.published_at
    expires = job.spec.expires_seconds
    return BatchObject(
        id=job.job_id,
        endpoint=row.endpoint,
        model=row.model or None,
        errors=_errors(batch),
        input_file_id=row.input_file_id,
        completion_window=row.completion_window,
        status=status,
        output_file_id=row.output_file_id,
        error_file_id=row.error_file_id,
        created_at=row.created_at // 1_000_000,
        in_progress_at=seconds(row.in_progress_at),
        expires_at=seconds(Micros(row.created_at + expires * 1_000_000)) if expires else None,
        finalizing_at=_finalizing_at(batch, status),
        completed_at=seconds(row.published_at) if status == "completed" else None,
        failed_at=seconds(over_at) if status == "failed" else None,
        expired_at=seconds(over_at) if status == "expired" else None,
        cancelling_at=seconds(row.cancelling_at or over_at) if job.state is JobState.CANCELLED else None,
        cancelled_at=seconds(row.published_at) if status == "cancelled" else None,
        request_counts=_counts(job),
        usage=_usage(row.usage),
        metadata=kept["metadata"],
        x_fallow_state=job.state.value,
        x_fallow_reason=job.reason or None,
        **kept["extra"],
    )


def _finalizing_at(batch: Batch, status: str) -> int | None:
    found = batch.row.finalizing_at
    if found is None and (status == "finalizing" or batch.row.output_file_id or batch.row.error_file_id):
        found = batch.job.finished_at
    return seconds(found)


def _counts(job: JobRow) -> RequestCounts:
    counters = job.counters
    return RequestCounts(
        total=counters.items_total, completed=counters.items_done - counters.items_error, failed=counters.items_bad
    )


def _errors(batch: Batch) -> BatchErrors | None:
    """Those of the input; or, of a batch that failed while it ran, the job's reason."""
    if batch.row.errors:
        return BatchErrors(data=[BatchError(**each) for each in json.loads(batch.row.errors)])
    if batch.job.state is JobState.FAILED:
        reason = batch.job.reason or "The batch failed."
        return BatchErrors(data=[BatchError(code="batch_failed", message=reason, param=None, line=None)])
    return None


def _usage(text: str) -> Usage | None:
    if not text:
        return None
    said = json.loads(text)
    return Usage(
        input_tokens=said["input"],
        input_tokens_details=InputDetails(cached_tokens=said["cached"]),
        output_tokens=said["output"],
        output_tokens_details=OutputDetails(reasoning_tokens=said["reasoning"]),
        total_tokens=said["total"],
    )

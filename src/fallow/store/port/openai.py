"""Rows of the OpenAI door: models, files, batches, uploads."""

from dataclasses import dataclass
from typing import Protocol

from fallow.core.words import JobKey, Micros


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A name bound to a job request without an input. template: JSON. endpoints: such as "/v1/embeddings"."""

    name: str
    account_id: str
    template: str
    endpoints: tuple[str, ...]
    created_at: Micros
    disabled_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class FileRow:
    """file_key: its place in listings, given by the database. artifact_key: where its bytes are."""

    file_id: str
    account_id: str
    purpose: str
    filename: str
    size_bytes: int
    sha256: str
    artifact_key: str
    created_at: Micros
    expires_at: Micros | None = None
    deleted_at: Micros | None = None
    file_key: int = 0


@dataclass(frozen=True, slots=True)
class BatchRow:
    """What a batch is beside its job. metadata, errors, usage: JSON. published_at: its files are there."""

    job_key: JobKey
    account_id: str
    endpoint: str
    model: str
    input_file_id: str
    completion_window: str
    metadata: str
    request_sha256: str
    output_expires_seconds: int | None
    created_at: Micros
    errors: str = ""
    usage: str = ""
    in_progress_at: Micros | None = None
    finalizing_at: Micros | None = None
    cancelling_at: Micros | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    published_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class UploadRow:
    """A file that comes in parts. state: core.words.UploadState."""

    upload_id: str
    account_id: str
    state: str
    filename: str
    purpose: str
    mime_type: str
    size_bytes: int
    created_at: Micros
    expires_at: Micros
    file_expires_seconds: int | None = None
    file_id: str | None = None


@dataclass(frozen=True, slots=True)
class UploadPartRow:
    part_id: str
    upload_id: str
    artifact_key: str
    size_bytes: int
    created_at: Micros


class OpenaiTx(Protocol):
    """The verbs of the OpenAI door."""

"""Rows of the OpenAI door: models, files, batches, uploads."""

from dataclasses import dataclass
from typing import Protocol

from fallow.core.lifecycle import UploadEvent
from fallow.core.words import JobKey, Micros, UploadState


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
    """A file that comes in parts."""

    upload_id: str
    account_id: str
    state: UploadState
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
    """The verbs of the OpenAI door. Batches are locked after their jobs."""

    # models
    def save_model(self, model: ModelRow) -> None:
        """Insert, or replace the one of this name."""
        ...

    def model(self, name: str) -> ModelRow | None:
        """Also one that is switched off."""
        ...

    def models(self) -> list[ModelRow]:
        """Those that serve, by name."""
        ...

    def disable_model(self, name: str, now: Micros) -> bool: ...

    # files
    def add_file(self, file: FileRow) -> FileRow:
        """The row with its file_key. One with this id that is there already stays, and is what comes back."""
        ...

    def file(self, file_id: str) -> FileRow | None:
        """Also one that is deleted or past its time."""
        ...

    def files(
        self, account_id: str, *, after: int | None, newest_first: bool, limit: int, purpose: str, now: Micros
    ) -> list[FileRow]:
        """Those that are there. after: a file_key; None: from the start. purpose "": any."""
        ...

    def delete_file(self, file_id: str, now: Micros) -> bool:
        """Nobody sees it any more. False when it was deleted before."""
        ...

    def expire_files(self, now: Micros, limit: int) -> int:
        """Deletes up to `limit` files past their time; how many."""
        ...

    def unread_files(self, limit: int) -> list[FileRow]:
        """Deleted files whose bytes no batch has yet to read."""
        ...

    def remove_file(self, file_id: str) -> None:
        """A deleted file's row, once its bytes are gone."""
        ...

    # batches
    def add_batch(self, batch: BatchRow) -> None:
        """Beside its job, in the same transaction."""
        ...

    def batch(self, job_key: JobKey) -> BatchRow | None: ...
    def batches(self, account_id: str, *, before: JobKey | None, limit: int) -> list[BatchRow]:
        """Newest first."""
        ...

    def hold_batches(self, account_id: str) -> None:
        """Nobody else adds a batch to the account until this transaction ends."""
        ...

    def repeated_batch(self, account_id: str, request_sha256: str, since: Micros) -> BatchRow | None:
        """The newest that the same request made since then."""
        ...

    def open_batches(self, account_id: str, limit: int) -> int:
        """How many of the account's batches are not published; `limit` when there are more."""
        ...

    def set_batch_errors(self, job_key: JobKey, errors: str) -> None: ...
    def batch_in_progress(self, job_key: JobKey, now: Micros) -> None:
        """Its input is good. This and the next two keep their first moment; without a batch they do nothing."""
        ...

    def batch_finalizing(self, job_key: JobKey, now: Micros) -> None: ...
    def batch_cancelling(self, job_key: JobKey, now: Micros) -> None: ...
    def claim_batch(self, owner: str, now: Micros, until: Micros) -> BatchRow | None:
        """One whose job is over, with nothing left to sweep, and whose files are not written; claimed for `owner`."""
        ...

    def renew_batch(self, job_key: JobKey, owner: str, until: Micros) -> bool:
        """False when somebody else has it by now."""
        ...

    def publish_batch(
        self,
        job_key: JobKey,
        owner: str,
        *,
        output_file_id: str | None,
        error_file_id: str | None,
        usage: str,
        now: Micros,
    ) -> bool:
        """False, and nothing written, when the claim is not `owner`'s any more."""
        ...

    def reopen_batch(self, job_key: JobKey) -> None:
        """Its job runs again: what was published will be published anew."""
        ...

    # uploads
    def add_upload(self, upload: UploadRow) -> None: ...
    def upload(self, upload_id: str) -> UploadRow | None: ...
    def move_upload(self, upload_id: str, event: UploadEvent, file_id: str | None = None) -> UploadState:
        """The new state. Raises lifecycle.IllegalMove, also when somebody else moved it first."""
        ...

    def late_uploads(self, now: Micros, limit: int) -> list[UploadRow]:
        """Pending ones past their time."""
        ...

    def add_upload_part(self, part: UploadPartRow) -> bool:
        """False, and nothing written, when the upload is over."""
        ...

    def upload_parts(self, upload_id: str) -> list[UploadPartRow]:
        """In order of coming."""
        ...

    def remove_upload_parts(self, upload_id: str) -> None: ...

"""What /v1 takes and gives, as JSON. Moments are whole seconds since 1970.

Source: OpenAI's API description (openai/openai-openapi) and the client's own types; members it requires are always
there, the others null until they are known. Private members begin with x_fallow.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fallow.protocols.openai.status import Status

Moment = int


class Given(BaseModel):
    """Something that is sent out."""

    model_config = ConfigDict(extra="forbid")


class Taken(BaseModel):
    """Something that came in. Members that are not known are refused, so that a slip of the pen is heard of; those
    that begin with x_ are somebody else's business and let through."""

    model_config = ConfigDict(extra="forbid")


class FileObject(Given):
    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: Moment
    filename: str
    purpose: str
    status: Literal["uploaded", "processed", "error"] = "processed"
    expires_at: Moment | None = None
    status_details: str | None = None


class FileDeleted(Given):
    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


class Page(Given):
    object: Literal["list"] = "list"
    data: list[Any]
    first_id: str | None
    last_id: str | None
    has_more: bool


class UploadObject(Given):
    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: Moment
    expires_at: Moment
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: FileObject | None = None


class UploadPart(Given):
    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: Moment
    upload_id: str


class RequestCounts(Given):
    total: int = 0
    completed: int = 0
    failed: int = 0


class BatchError(Given):
    code: str
    message: str
    param: str | None
    line: int | None


class BatchErrors(Given):
    object: Literal["list"] = "list"
    data: list[BatchError]


class InputDetails(Given):
    cached_tokens: int


class OutputDetails(Given):
    reasoning_tokens: int


class Usage(Given):
    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class BatchObject(Given):
    """What a batch was made with and fallow does not know (members that begin with x_) comes back as it was."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    model: str | None
    errors: BatchErrors | None
    input_file_id: str
    completion_window: str
    status: Status
    output_file_id: str | None
    error_file_id: str | None
    created_at: Moment
    in_progress_at: Moment | None
    expires_at: Moment | None
    finalizing_at: Moment | None
    completed_at: Moment | None
    failed_at: Moment | None
    expired_at: Moment | None
    cancelling_at: Moment | None
    cancelled_at: Moment | None
    request_counts: RequestCounts
    usage: Usage | None
    metadata: dict[str, str] | None
    x_fallow_state: str
    x_fallow_reason: str | None


class ModelObject(Given):
    id: str
    object: Literal["model"] = "model"
    created: Moment
    owned_by: str
    x_fallow_endpoints: list[str]


class ModelList(Given):
    object: Literal["list"] = "list"
    data: list[ModelObject]


class ExpiresAfter(Taken):
    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class CreateBatch(Taken):
    """metadata: up to 16 pairs; keys up to 64, values up to 512 characters. x_fallow: see docs/openai.md."""

    model_config = ConfigDict(extra="allow")

    input_file_id: Annotated[str, Field(min_length=1, max_length=200)]
    endpoint: Annotated[str, Field(min_length=1, max_length=200)]
    completion_window: Annotated[str, Field(min_length=1, max_length=40)]
    metadata: Annotated[
        dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None, Field(max_length=16)
    ] = None
    output_expires_after: ExpiresAfter | None = None
    x_fallow: dict[str, Any] | None = None


class CreateUpload(Taken):
    filename: Annotated[str, Field(min_length=1, max_length=1000)]
    purpose: Annotated[str, Field(min_length=1, max_length=60)]
    bytes: Annotated[int, Field(ge=0, le=2**53)]
    mime_type: Annotated[str, Field(max_length=200)]
    expires_after: ExpiresAfter | None = None


class CompleteUpload(Taken):
    part_ids: Annotated[list[Annotated[str, Field(max_length=80)]], Field(max_length=10_000)]
    md5: Annotated[str | None, Field(max_length=64)] = None

"""The submitters' calls: what the door takes and gives, as JSON. The seed's fields keep their exact names.

`status` is the seed's word (queued, running, completed, failed); `state` is ours. Moments are RFC 3339 text, UTC.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fallow.core.words import ChunkState, JobState, Micros

JOB_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
HTTP_PATH_PATTERN = r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*$"
_JOB_ID = re.compile(JOB_ID_PATTERN)


def is_job_id(text: str) -> bool:
    """Whether the text may name a job: safe in a path, a URL and an object key."""
    return bool(_JOB_ID.match(text)) and ".." not in text


def moment(at: Micros | None) -> str | None:
    """RFC 3339, UTC, to the millisecond: "2026-11-22T04:10:00.123Z"."""
    if at is None:
        return None
    return datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class RangeMessage(_Message):
    """Items start..end, both included, counted from 0."""

    start: int
    end: int


class LimitsRequest(_Message):
    item_timeout_seconds: Annotated[float | None, Field(gt=0, le=30 * 86400)] = None
    chunk_timeout_seconds: Annotated[float, Field(gt=0, le=30 * 86400)] = 3600.0
    start_timeout_seconds: Annotated[float, Field(gt=0, le=86400)] = 120.0
    memory_bytes: Annotated[int | None, Field(ge=4 << 20)] = None
    cpus: Annotated[float | None, Field(gt=0, le=4096)] = None
    pids: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    tmp_bytes: Annotated[int, Field(ge=0)] = 1 << 30
    output_bytes: Annotated[int, Field(ge=1)] = 4 << 30
    item_output_bytes: Annotated[int, Field(ge=1)] = 64 << 20
    log_bytes: Annotated[int, Field(ge=0)] = 16 << 20


class RequirementsRequest(_Message):
    """volunteers: strangers' machines may run the job too, through BOINC; they see its image and its items."""

    memory_bytes: Annotated[int, Field(ge=0)] = 0
    cores: Annotated[float, Field(ge=0)] = 0.0
    accelerators: Annotated[int, Field(ge=0)] = 0
    engine: Literal["podman", "docker", "process"] | None = None
    volunteers: bool = False


class ReplicationRequest(_Message):
    """Who may answer a chunk together, beside the quorum of `verify`.

    adaptive: one answer is enough where a trusted worker gave it. homogeneous: all answers to a chunk from machines of
    one vendor or model of processor and accelerator. distinct: never two answers of one worker,
    or of one account; where it is not said, of one account if the job is for volunteers.
    """

    adaptive: bool = False
    homogeneous: Literal["none", "vendor", "model"] = "none"
    distinct: Literal["worker", "account"] | None = None


class RetryRequest(_Message):
    max_errors: Annotated[int, Field(ge=1, le=100)] = 3
    max_attempts: Annotated[int, Field(ge=1, le=1000)] = 6
    lease_seconds: Annotated[int, Field(ge=10, le=30 * 86400)] = 1800
    error_threshold: Annotated[float, Field(ge=0, le=1)] = 0.5


class HttpRequest(_Message):
    """For the contract http. path: where items go that are not request lines. health_path: answers 2xx when ready."""

    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    path: Annotated[str, Field(pattern=HTTP_PATH_PATTERN, max_length=1000)] = "/v1/chat/completions"
    health_path: Annotated[str, Field(pattern=HTTP_PATH_PATTERN, max_length=1000)] = "/health"
    concurrency_max: Annotated[int, Field(ge=1, le=1024)] = 32


class PluginsRequest(_Message):
    planner: str = ""
    verifier: str = ""
    assimilator: str = ""


class JobRequest(_Message):
    """POST /api/jobs. The first six fields are the seed's; all others have defaults.

    output_uri: absent or "" keeps the output in fallow's own store, to be read by GET /api/jobs/{id}/output/{name}.
    input_uri: needed, unless it is a feed, whose items come by POST /api/jobs/{id}/items until it is closed.
    model: the name of a model, whose template then says what runs and how.
    verify: "hash", "quorum:N", "quorum:N:exact|json|numeric" or "quorum:N:numeric:RTOL:ATOL".
    """

    job_id: str | None = None
    input_uri: str = ""
    output_uri: str | None = None
    container_image: str | None = None
    worker_label: Literal["edge", "on_prem", "cloud"] | None = None
    num_chunks: int | None = None
    chunk_range: RangeMessage | None = None

    feed: bool = False
    input_format: Literal["jsonl", "text", "csv", "parquet", "objects", "bundles"] | None = None
    chunk_items: int | None = None
    chunk_bytes: int | None = None
    command: list[str] = []
    env: dict[str, str] = {}
    engine: Literal["podman", "docker", "process"] | None = None
    contract: Literal["stream", "http", "files", "direct"] = "stream"
    http: HttpRequest = HttpRequest()
    reuse: Literal["job", "never"] = "job"
    harness: bool | None = None
    outbound: bool | None = None
    overwrite: bool = False
    verify: str = "hash"
    replication: ReplicationRequest = ReplicationRequest()
    limits: LimitsRequest = LimitsRequest()
    retry: RetryRequest = RetryRequest()
    requirements: RequirementsRequest = RequirementsRequest()
    plugins: PluginsRequest = PluginsRequest()
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    expires_seconds: Annotated[int | None, Field(ge=1)] = None
    retention_seconds: Annotated[int | None, Field(ge=0)] = None
    name: Annotated[str, Field(max_length=200)] = ""
    model: Annotated[str | None, Field(max_length=400)] = None


class Progress(_Message):
    """completed_chunks and total_chunks are the seed's."""

    completed_chunks: int
    total_chunks: int
    total_items: int
    completed_items: int
    error_items: int
    counters: dict[str, int]


class JobSummary(_Message):
    job_id: str
    status: str
    created_at: str
    progress: Progress
    state: str
    name: str
    reason: str
    started_at: str | None
    finished_at: str | None


class ChunkView(_Message):
    """chunk_id, status, retries, failure_reason and verification are the seed's."""

    chunk_id: int
    status: str
    retries: int
    failure_reason: str | None
    verification: str
    state: str
    item_start: int
    item_end: int
    parent_id: int | None


class JobDetail(JobSummary):
    """chunks: the first of them; chunks_next: the cursor for GET /api/jobs/{id}/chunks?after=, null after the last."""

    input_uri: str
    output_uri: str | None
    container_image: str | None
    chunks: list[ChunkView]
    chunks_next: int | None
    why_waiting: list[str]
    output: dict[str, Any] | None
    spec: dict[str, Any]


class JobList(_Message):
    jobs: list[JobSummary]
    next: str | None


class ChunkList(_Message):
    chunks: list[ChunkView]
    next: int | None


class AttemptView(_Message):
    attempt_id: int
    chunk_id: int
    state: str
    worker_id: str | None
    queued_at: str | None
    leased_at: str | None
    over_at: str | None
    failure_class: str | None
    code: str
    message: str
    items_done: int
    item_errors: int
    exit_code: int | None
    log_tail: str
    log_size_bytes: int
    cpu_seconds: float
    memory_bytes_max: int
    artifact_sha256: str | None
    receipt: dict[str, Any] | None


class AttemptList(_Message):
    attempts: list[AttemptView]
    next: int | None


class WorkerView(_Message):
    """worker_id, label, state (idle or active) and last_seen are the seed's."""

    worker_id: str
    label: str | None
    state: str
    last_seen: str
    name: str
    alive: bool
    leaving: bool
    capability: dict[str, Any]
    attempts_leased: int
    failures: int
    backoff_until: str | None


class WorkerList(_Message):
    workers: list[WorkerView]


class StoryLine(_Message):
    story_id: int
    at: str
    kind: str
    chunk_id: int | None
    attempt_id: int | None
    from_state: str
    to_state: str
    event: str
    cause: str
    by: str


class Story(_Message):
    """why_waiting: why nothing is being sent now; empty when something is, or nothing is left to send."""

    lines: list[StoryLine]
    why_waiting: list[str]
    next: int | None


class KeyRequest(_Message):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    scopes: Annotated[list[Literal["submit", "operate", "work"]], Field(min_length=1)]
    account_id: str | None = None
    expires_seconds: Annotated[int | None, Field(ge=1)] = None


class KeyView(_Message):
    key_id: str
    account_id: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class NewKey(KeyView):
    """key: shown this once, never again."""

    key: str


class KeyList(_Message):
    keys: list[KeyView]


class Uploaded(_Message):
    """uri: what to give as input_uri."""

    uri: str
    sha256: str
    size_bytes: int


class FeedView(_Message):
    """parts: appends so far, which is the number of the next one. size_bytes: of all of them."""

    parts: int
    size_bytes: int
    closed_at: str | None


class ErrorBody(_Message):
    code: str
    message: str
    remedy: str = ""
    details: dict[str, Any] = {}


class ErrorMessage(_Message):
    """What every refusal looks like on the wire."""

    error: ErrorBody


def seed_job_status(state: JobState, anything_ran: bool) -> str:
    """The seed's word for a job's state."""
    if state is JobState.COMPLETED:
        return "completed"
    if state in (JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED):
        return "failed"
    return "running" if anything_ran or state is JobState.MERGING else "queued"


def seed_chunk_status(state: ChunkState, leased: bool) -> str:
    """The seed's word for a chunk's state. A split chunk is completed by its pieces."""
    if state in (ChunkState.DONE, ChunkState.SPLIT):
        return "completed"
    if state in (ChunkState.FAILED, ChunkState.CANCELLED):
        return "failed"
    return "running" if leased or state is ChunkState.VERIFYING else "queued"


def seed_verification(state: ChunkState, invalid: bool) -> str:
    """The seed's word for how a chunk's verification stands."""
    if state is ChunkState.DONE:
        return "verified"
    if state in (ChunkState.CANCELLED, ChunkState.SPLIT):
        return "n/a"
    if state is ChunkState.FAILED:
        return "mismatch" if invalid else "n/a"
    return "mismatch" if invalid else "pending"

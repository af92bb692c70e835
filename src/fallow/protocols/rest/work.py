"""The worker's calls, byte for byte: POST /api/work/hello and POST /api/work.

One call reports n attempts, says which are still running (the heartbeat) and asks for n more. Hot, so msgspec.
Byte strings travel as base64, moments as microseconds since the epoch, unknown members are ignored.
"""

import msgspec

PROTOCOL_VERSION = 1
LOGS_BYTES_MAX = 64 << 10
RECEIPT_PAYLOAD_TYPE = "application/vnd.fallow.receipt+json"


class Accelerator(msgspec.Struct, frozen=True):
    kind: str  # "nvidia", "amd"
    model: str = ""
    memory_bytes: int = 0


class CapabilityMessage(msgspec.Struct, frozen=True):
    """What a worker has. engines: those that passed the worker's own smoke run. images: beginnings of the digests of
    images that it keeps for fallow, such as "sha256:0123456789abcdef"."""

    platform: str  # "linux/amd64"
    cores: float
    memory_bytes: int
    disk_bytes: int
    slots: int
    engines: tuple[str, ...]
    contracts: tuple[str, ...]
    accelerators: tuple[Accelerator, ...] = ()
    version: str = ""
    images: tuple[str, ...] = ()


class Hello(msgspec.Struct, frozen=True):
    """First call. public_key: Ed25519, 32 raw bytes. session: new at each start of the agent; what an older session
    held is lost. time: the worker's clock, so that the server can name a wrong one."""

    public_key: bytes
    session: str
    name: str
    capability: CapabilityMessage
    time: int
    label: str | None = None
    signature: bytes = b""  # of b"fallow-hello:" + session, by the key: proof that the caller owns it
    protocol: int = PROTOCOL_VERSION


class Welcome(msgspec.Struct, frozen=True):
    """inline_bytes_max: an artifact up to this size travels inside the report instead of by upload."""

    worker_id: str
    server_time: int
    heartbeat_seconds: float
    inline_bytes_max: int
    message: str = ""  # for a person


class ObjectInput(msgspec.Struct, frozen=True):
    name: str
    url: str
    size_bytes: int
    sha256: str = ""


class ChunkInput(msgspec.Struct, frozen=True):
    """Where the chunk's items are. The extent is `length` bytes at `offset` of `url` (a Range request; length 0: the
    whole body). The first `skip` items of the extent belong to somebody else. sha256: of the extent, "" if not known.
    format: jsonl, text, csv (columns: the header's names), objects (which are the items), or bundles (`objects` are the
    files that come with the one line of the extent)."""

    format: str
    url: str = ""
    offset: int = 0
    length: int = 0
    sha256: str = ""
    skip: int = 0
    columns: tuple[str, ...] = ()
    objects: tuple[ObjectInput, ...] = ()


class ImageRef(msgspec.Struct, frozen=True):
    """source: "layout" (fetch GET /api/work/images/{digest}), "registry" (engine pull reference@digest), "engine"."""

    reference: str
    digest: str
    image_id: str
    source: str


class LimitsMessage(msgspec.Struct, frozen=True):
    item_timeout_seconds: float | None = None
    chunk_timeout_seconds: float = 3600.0
    start_timeout_seconds: float = 120.0
    memory_bytes: int | None = None
    cpus: float | None = None
    pids: int = 512
    tmp_bytes: int = 1 << 30
    output_bytes: int = 4 << 30
    item_output_bytes: int = 64 << 20
    log_bytes: int = 16 << 20
    item_bytes: int = 64 << 20  # a longer input line is not sent to the image


class HttpMessage(msgspec.Struct, frozen=True):
    """For the contract http: see core.job.HttpService."""

    port: int = 8000
    path: str = "/v1/chat/completions"
    health_path: str = "/health"
    concurrency_max: int = 32


class Lease(msgspec.Struct, frozen=True):
    """One attempt to run. upload_url and log_url take a PUT. output_url: for the direct contract, a prefix to which
    "/name" is appended; PUT or POST. deadline_seconds: from now; each call that names the attempt extends it."""

    attempt_id: int
    job_id: str
    chunk_id: int
    item_start: int
    item_count: int
    contract: str
    input: ChunkInput
    limits: LimitsMessage
    upload_url: str
    log_url: str
    deadline_seconds: float
    image: ImageRef | None = None
    ran: str = ""  # what the receipt names as its image
    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    reuse: str = "job"
    harness: bool = False
    outbound: bool = False
    artifact_uri: str = ""  # what the receipt names as artifact.uri
    input_url: str = ""  # for the direct contract: AI_INPUT_URI, usable by curl without headers
    output_url: str = ""
    traceparent: str = ""  # W3C Trace Context; "": nobody traces it
    http: HttpMessage | None = None  # for the contract http
    accelerators: int = 0  # more than 0: the image gets the machine's accelerators


class Failure(msgspec.Struct, frozen=True):
    """Why an attempt failed. failure_class: core.words.FailureClass. code: stable, such as "exit_code", "item_timeout",
    "chunk_timeout", "out_of_memory", "too_few_lines", "too_many_lines", "not_json", "output_too_large",
    "image_missing", "disk_full", "engine_error", "input_changed", "input_unreadable", "stopped".
    message: one sentence, the same for the same fault (no times, no ids). items_done: answers known good before it.
    bad_item: the item of the job that is to blame, if one is known to be."""

    failure_class: str
    code: str
    message: str
    items_done: int = 0
    bad_item: int | None = None
    exit_code: int | None = None
    log_tail: str = ""


class Step(msgspec.Struct, frozen=True, array_like=True):
    """How long one step of an attempt took. Microseconds since the epoch, by the worker's clock."""

    name: str  # "image", "stage", "run", "upload"
    start: int
    end: int


class Report(msgspec.Struct, frozen=True):
    """What became of an attempt. Without `failure`: done, and `envelope` (a DSSE envelope, JSON bytes) is the receipt.
    With `failure` and an envelope: the receipt covers the items_done items before the failure. The artifact is
    `inline`, or was PUT to upload_url before. log_size_bytes: of what was PUT to log_url. steps: for its trace, where
    the lease had a traceparent."""

    attempt_id: int
    envelope: bytes = b""
    inline: bytes | None = None
    failure: Failure | None = None
    log_size_bytes: int = 0
    steps: tuple[Step, ...] = ()


class Holding(msgspec.Struct, frozen=True):
    attempt_id: int
    items_done: int = 0


class LogPart(msgspec.Struct, frozen=True):
    """What a running attempt wrote to its log. start: how many bytes it had written before these."""

    attempt_id: int
    start: int
    data: bytes


class Ask(msgspec.Struct, frozen=True):
    """Report, heartbeat and request in one. want: how many attempts to lease now. leaving: the agent drains.
    wait_seconds: an agent with nothing to do may be answered so much later, if there is nothing to do for it. logs:
    news of those among `holding` that the answer before named as watched; LOGS_BYTES_MAX in all."""

    worker_id: str
    session: str
    want: int = 0
    reports: tuple[Report, ...] = ()
    holding: tuple[Holding, ...] = ()
    leaving: bool = False
    wait_seconds: float = 0.0
    logs: tuple[LogPart, ...] = ()


class Ack(msgspec.Struct, frozen=True):
    """verdict: "accepted"; "late" (kept, though its lease was over); "refused" (code, message say why)."""

    attempt_id: int
    verdict: str
    code: str = ""
    message: str = ""


class Answer(msgspec.Struct, frozen=True):
    """stop: attempts that are not wanted any more (cancelled, or not held by this worker). wait_seconds: before asking
    again when there is nothing to do. watched: held attempts whose logs somebody looks at: the agent tells them with
    calls that follow each other faster."""

    acks: tuple[Ack, ...] = ()
    leases: tuple[Lease, ...] = ()
    stop: tuple[int, ...] = ()
    wait_seconds: float = 1.0
    server_time: int = 0
    message: str = ""
    watched: tuple[int, ...] = ()


class BlobRef(msgspec.Struct, frozen=True):
    digest: str  # "sha256:..."
    size_bytes: int
    url: str


class ImageBlobs(msgspec.Struct, frozen=True):
    """An OCI layout's parts: the manifest's own bytes, and where its config and layers are."""

    digest: str
    manifest: bytes
    media_type: str
    blobs: tuple[BlobRef, ...]

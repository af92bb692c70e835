"""A job as it was asked for. Everything here is fixed at submission; what changes later is in rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from fallow.core.words import Contract, Engine, InputFormat, JobId, Label, Reuse

MIB = 1024 * 1024
ITEM_BYTES_MAX = 64 * MIB  # the longest line that is sent to a worker; a longer one becomes an error line


class VerifyMethod(StrEnum):
    HASH = "hash"
    QUORUM = "quorum"


class Compare(StrEnum):
    EXACT = "exact"
    JSON = "json"
    NUMERIC = "numeric"


class Homogeneous(StrEnum):
    """Which machines may answer one chunk together: floating point differs between them. See core.homogeneity."""

    NONE = "none"
    VENDOR = "vendor"  # one operating system, one maker of processors, one accelerator
    MODEL = "model"  # and one family of processors


class Distinct(StrEnum):
    """Between what two answers to one chunk must differ."""

    WORKER = "worker"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class VerifyPolicy:
    """When an answer counts.

    quorum: answers that must agree, at least 1. rtol, atol: as in math.isclose, for compare=numeric only.
    adaptive: one answer is enough where a trusted worker gave it. See core.agreement.answers_needed.
    """

    method: VerifyMethod = VerifyMethod.HASH
    quorum: int = 1
    compare: Compare = Compare.EXACT
    rtol: float = 1e-5
    atol: float = 1e-8
    adaptive: bool = False
    homogeneous: Homogeneous = Homogeneous.NONE
    distinct: Distinct = Distinct.WORKER


@dataclass(frozen=True, slots=True)
class Limits:
    """What one chunk and one item may use. None: no limit of the job's own (the worker's still hold)."""

    item_timeout_seconds: float | None = None
    chunk_timeout_seconds: float = 3600.0
    start_timeout_seconds: float = 120.0  # from the container's start to its first answer, on top of item_timeout
    memory_bytes: int | None = None
    cpus: float | None = None
    pids: int = 512
    tmp_bytes: int = 1024 * MIB
    output_bytes: int = 4096 * MIB  # of one chunk
    item_output_bytes: int = 64 * MIB
    log_bytes: int = 16 * MIB  # kept of stderr; the rest is counted and marked


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """error_threshold: the job fails when more than this fraction of its items fail; 1.0: never."""

    max_errors: int = 3
    max_attempts: int = 6
    lease_seconds: int = 1800
    error_threshold: float = 0.5


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a worker must be or have. Empty: anything. volunteers: strangers' machines may run it too, through BOINC."""

    label: Label | None = None
    memory_bytes: int = 0
    cores: float = 0.0
    accelerators: int = 0
    engine: Engine | None = None
    platform: str | None = None  # "linux/amd64"; set from the image
    volunteers: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """A container image, resolved at the door.

    reference: as the submitter wrote it. digest: of the manifest, "sha256:...". image_id: digest of the config, by
    which podman and docker run it. source: where a worker gets it: "layout" (blobs in fallow's own store), "registry",
    or "engine" (already on the workers' machines). platforms: such as "linux/amd64". labels: of the image's config.
    """

    reference: str
    digest: str
    image_id: str
    source: str
    platforms: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ItemRange:
    """Items start..end of the input, both included, counted from 0."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Input:
    """Where the items are. etag: what the store called this version of the bytes when the job was taken."""

    uri: str
    format: InputFormat
    size_bytes: int = 0
    etag: str = ""
    range: ItemRange | None = None


@dataclass(frozen=True, slots=True)
class Chunking:
    """At most one is set; none: the planner chooses."""

    items: int | None = None
    size_bytes: int | None = None
    chunks: int | None = None


@dataclass(frozen=True, slots=True)
class Plugins:
    """Names of project-specific parts: "entry-point-name" or "exec:/path/to/program". Empty: the built-in part."""

    planner: str = ""
    verifier: str = ""
    assimilator: str = ""


@dataclass(frozen=True, slots=True)
class HttpService:
    """How an image of the contract `http` serves. path: where items go that are not request lines. health_path: answers
    2xx once it is ready; where it is not known, /v1/models is asked. concurrency_max: requests at once, at most."""

    port: int = 8000
    path: str = "/v1/chat/completions"
    health_path: str = "/health"
    concurrency_max: int = 32


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a submitter asked for, checked.

    image: None runs `command` with the `process` engine. output_uri: None keeps the output in fallow's own store.
    harness: None asks the image's label `io.fallow.harness`. outbound: whether the container may reach the network.
    http: for the contract `http` only. feed: the input comes in parts while the job runs. model: whose
    template it came from, "" for none.
    """

    job_id: JobId
    input: Input
    image: Image | None = None
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    contract: Contract = Contract.STREAM
    reuse: Reuse = Reuse.JOB
    harness: bool | None = None
    outbound: bool = False
    output_uri: str | None = None
    overwrite: bool = False
    chunking: Chunking = Chunking()
    verify: VerifyPolicy = VerifyPolicy()
    limits: Limits = Limits()
    retry: RetryPolicy = RetryPolicy()
    requirements: Requirements = Requirements()
    plugins: Plugins = Plugins()
    priority: int = 0
    expires_seconds: int | None = None
    retention_seconds: int | None = None
    name: str = ""
    http: HttpService = HttpService()
    feed: bool = False
    model: str = ""

    @property
    def quorum(self) -> int:
        """Answers that must agree."""
        return self.verify.quorum if self.verify.method is VerifyMethod.QUORUM else 1

    @property
    def answers_first(self) -> int:
        """Answers that a chunk wants when it starts."""
        return 1 if self.verify.adaptive else self.quorum

    @property
    def ran(self) -> str:
        """What a receipt must name as its image."""
        return self.image.digest if self.image else process_digest(self.command)


@cache
def process_digest(command: tuple[str, ...]) -> str:
    """The name of a bare command where a receipt wants an image's digest."""
    import hashlib
    import json

    return "process:sha256:" + hashlib.sha256(json.dumps(list(command)).encode()).hexdigest()

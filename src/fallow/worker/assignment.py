"""What a slot is asked to do: one attempt, as plain values. The standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fallow.core.job import MIB, HttpService
from fallow.core.words import Contract, InputFormat, Reuse


@dataclass(frozen=True, slots=True)
class InputObject:
    """One object that is one item. sha256: "" when not known."""

    name: str
    url: str
    size_bytes: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class InputExtent:
    """Where the items are. objects: exactly the chunk's items.

    Else `length` bytes at `offset` of `url` (length 0: the whole body), whose first `skip` items are somebody else's.
    """

    format: InputFormat
    url: str = ""
    offset: int = 0
    length: int = 0
    sha256: str = ""
    skip: int = 0
    columns: tuple[str, ...] = ()
    objects: tuple[InputObject, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageNeed:
    """The image to run. source: "layout", "registry" or "engine"; see core.job.Image."""

    reference: str
    digest: str
    image_id: str
    source: str


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What one chunk and one item may use. None: no limit of the job's own."""

    item_timeout_seconds: float | None = None
    chunk_timeout_seconds: float = 3600.0
    start_timeout_seconds: float = 120.0
    memory_bytes: int | None = None
    cpus: float | None = None
    pids: int = 512
    tmp_bytes: int = 1024 * MIB
    output_bytes: int = 4096 * MIB
    item_output_bytes: int = 64 * MIB
    log_bytes: int = 16 * MIB
    item_bytes: int = 64 * MIB


@dataclass(frozen=True, slots=True)
class Assignment:
    """One attempt. ran: what the receipt names as its image. artifact_uri: what the receipt names as artifact.uri."""

    attempt_id: int
    job_id: str
    chunk_id: int
    item_start: int
    item_count: int
    contract: Contract
    input: InputExtent
    limits: RunLimits = RunLimits()
    image: ImageNeed | None = None
    ran: str = ""
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    reuse: Reuse = Reuse.JOB
    harness: bool = False
    outbound: bool = False
    artifact_uri: str = ""
    input_url: str = ""
    output_url: str = ""
    upload_url: str = ""
    log_url: str = ""
    deadline_seconds: float = 1800.0
    traceparent: str = ""
    http: HttpService = HttpService()
    accelerators: int = 0

    @property
    def item_end(self) -> int:
        """The last item, included."""
        return self.item_start + self.item_count - 1

    def environment(self, input_uri: str, output_uri: str) -> dict[str, str]:
        """The variables the image sees: the seed's six, then the job's own, which may not replace the six."""
        return {
            **self.env,
            "AI_JOB_ID": self.job_id,
            "AI_CHUNK_ID": str(self.chunk_id),
            "AI_RANGE_START": str(self.item_start),
            "AI_RANGE_END": str(self.item_end),
            "AI_INPUT_URI": input_uri,
            "AI_OUTPUT_URI": output_uri,
        }


def is_loopback(url: str) -> bool:
    """Whether this URL points at the machine itself."""
    host = (urlsplit(url).hostname or "").lower()
    return host in {"localhost", "::1"} or host.startswith("127.")

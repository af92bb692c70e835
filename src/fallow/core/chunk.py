"""A chunk and its attempts, as a decision sees them."""

from dataclasses import dataclass, field

from fallow.core.words import AttemptId, AttemptState, ChunkId, ChunkState, FailureClass, JobKey, Micros, WorkerId


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a chunk's items are in the input.

    For lines (JSONL, text, CSV, the listing of objects): `length` bytes at `start`. For Parquet: `length` row groups
    from number `start`. The first `skip` items of the extent belong to other chunks: a split needs no new look at the
    input. sha256: of the extent's bytes as the planner saw them, "" where it did not read them.
    """

    start: int
    length: int
    skip: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class ItemFault:
    """Why items have no answer. message: one sentence, the same for the same fault: outputs are reproducible."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """answers_wanted: verification starts when so many answers are there. prior_errors: failures of the chunk this one
    was cut from that are evidence against its only item. attempts_after: older attempts belong to an earlier run."""

    job_key: JobKey
    chunk_id: ChunkId
    state: ChunkState
    version: int
    item_start: int
    item_count: int
    extent: Extent
    answers_wanted: int = 1
    prior_errors: int = 0
    attempts_after: int = 0
    parent_id: ChunkId | None = None
    canonical_id: AttemptId | None = None
    fault: ItemFault | None = None

    @property
    def item_end(self) -> int:
        """The last item, included."""
        return self.item_start + self.item_count - 1


@dataclass(frozen=True, slots=True)
class Artifact:
    """Where an answer's bytes are: `size_bytes` bytes at `offset` of the object `key`, or of a pack, "pack:NUMBER"."""

    key: str
    sha256: str
    size_bytes: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """failure_class, code, message, items_done, bad_item: of an attempt that failed. artifact: of one that answered,
    or of the finished head of one that failed."""

    attempt_id: AttemptId
    job_key: JobKey
    chunk_id: ChunkId
    state: AttemptState
    worker_id: WorkerId | None = None
    deadline: Micros | None = None
    failure_class: FailureClass | None = None
    code: str = ""
    message: str = ""
    items_done: int = 0
    item_errors: int = 0
    bad_item: int | None = None
    artifact: Artifact | None = None
    items_root: str = ""
    checked: bool = False  # the verifier found the artifact to be what the receipt says


@dataclass(frozen=True, slots=True)
class Answer:
    """What a report brings with it, beside the move: written to the attempt's row."""

    envelope: bytes = b""
    artifact: Artifact | None = None
    items_root: str = ""
    item_errors: int = 0
    failure_class: FailureClass | None = None
    code: str = ""
    message: str = ""
    items_done: int = 0
    bad_item: int | None = None
    exit_code: int | None = None
    log_tail: str = ""
    log_size_bytes: int = 0
    cpu_seconds: float = 0.0
    memory_bytes_max: int = 0


@dataclass(slots=True)
class Case:
    """One chunk with all its attempts of the current run, oldest first: what a decision is made from."""

    chunk: Chunk
    attempts: list[Attempt] = field(default_factory=list)

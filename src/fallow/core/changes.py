"""What a decision asks for. The store applies a list of these in order, in one transaction, and writes the story."""

from dataclasses import dataclass

from fallow.core.chunk import Answer, Extent, ItemFault
from fallow.core.lifecycle import AttemptEvent, ChunkEvent
from fallow.core.words import AttemptId, ChunkId, JobKey


@dataclass(frozen=True, slots=True)
class MoveChunk:
    """canonical: with ACCEPT. fault: with FAIL and REFUSE. answers_wanted: with MORE."""

    job_key: JobKey
    chunk_id: ChunkId
    event: ChunkEvent
    cause: str = ""
    canonical: AttemptId | None = None
    fault: ItemFault | None = None
    answers_wanted: int | None = None


@dataclass(frozen=True, slots=True)
class MoveAttempt:
    """answer: with REPORT and FAIL, what the report brought."""

    attempt_id: AttemptId
    event: AttemptEvent
    cause: str = ""
    answer: Answer | None = None
    checked: bool = False


@dataclass(frozen=True, slots=True)
class QueueAttempts:
    """`count` new attempts for one chunk."""

    job_key: JobKey
    chunk_id: ChunkId
    count: int
    cause: str = ""


@dataclass(frozen=True, slots=True)
class CutChunk:
    """A new chunk cut from `parent_id`. It is opened at once; with `salvage` it is born with that attempt's finished
    answer as its first attempt."""

    job_key: JobKey
    parent_id: ChunkId
    item_start: int
    item_count: int
    extent: Extent
    prior_errors: int = 0
    answers_wanted: int = 1
    salvage: AttemptId | None = None


Change = MoveChunk | MoveAttempt | QueueAttempts | CutChunk

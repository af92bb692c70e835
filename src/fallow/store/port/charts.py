"""What pages draw of a job: maps, series, groups of failures. Counted by the database, so that what comes back is small
however many chunks there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fallow.core.words import AttemptId, AttemptState, ChunkId, ChunkState, FailureClass, JobKey, JobState, Micros
from fallow.store.port.work import JobRow


@dataclass(frozen=True, slots=True)
class RecentWork:
    """What was done of a job in the newest part of the story. since: where that part begins."""

    job_key: JobKey
    chunks: int
    items: int
    since: Micros


@dataclass(frozen=True, slots=True)
class CellCount:
    """Chunks of one cell of a map that are in one state."""

    cell: int
    state: ChunkState
    chunks: int


@dataclass(frozen=True, slots=True)
class CellRun:
    """How the chunks of one cell were run. first_worker, last_worker: by name; the same when it was one alone; None
    when nothing of it was leased. micros: mean time from lease to answer. tries: most attempts at one of its chunks."""

    cell: int
    first_worker: str | None
    last_worker: str | None
    micros: int | None
    tries: int


@dataclass(frozen=True, slots=True)
class Span:
    """Chunks and items that were done in one span of time. number: counts spans from the start that was asked for."""

    number: int
    chunks: int
    items: int


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Attempts that went wrong in the same way. latest: the newest of them. chunks: how many pieces it struck."""

    failure_class: FailureClass | None
    state: AttemptState
    code: str
    message: str
    attempts: int
    chunks: int
    first_chunk: ChunkId
    latest: AttemptId


@dataclass(frozen=True, slots=True)
class FaultGroup:
    """Chunks that have failed for the same reason."""

    code: str
    message: str
    chunks: int
    items: int
    first_chunk: ChunkId


class ChartsTx(Protocol):
    """The verbs of charts."""

    def jobs_found(
        self, *, account_id: str | None, text: str, states: Sequence[JobState], before: JobKey | None, limit: int
    ) -> list[JobRow]:
        """Newest first. text: a part of the id, the name or the image's reference, in any case; "": all."""
        ...

    def account_name(self, account_id: str) -> str:
        """As people read it; the id when there is no such account."""
        ...

    def submitters(self, limit: int) -> list[tuple[str, str]]:
        """(id, name) of accounts that have jobs, by name."""
        ...

    def recent_work(self, since: Micros, rows_max: int) -> list[RecentWork]:
        """Per job, from the newest `rows_max` rows of the story and no further back than `since`."""
        ...

    def story_mark(self) -> int:
        """The number of the newest row of the story: what is read after this call holds all up to it."""
        ...

    def chunk_count(self, job_key: JobKey) -> int:
        """Chunks that were ever planned, those that were split included: one more than the highest number."""
        ...

    def cell_counts(self, job_key: JobKey, per_cell: int, first: int, end: int) -> list[CellCount]:
        """Of the chunks first..end-1; a cell holds `per_cell` chunks with consecutive numbers."""
        ...

    def leased_chunks(self, job_key: JobKey) -> list[ChunkId]:
        """Chunks that workers hold now, in order."""
        ...

    def moved_chunks(self, job_key: JobKey, after: int, limit: int) -> list[ChunkId]:
        """Chunks of the job with a row in the story after a number; at most `limit` rows are looked at."""
        ...

    def cell_runs(self, job_key: JobKey, per_cell: int) -> list[CellRun]: ...
    def done_spans(self, job_key: JobKey, start: Micros, micros: int) -> list[Span]:
        """Spans of `micros` from `start` on in which chunks were done, in order; by when their answers came."""
        ...

    def done_between(self, job_key: JobKey) -> tuple[Micros, Micros] | None:
        """When the first and the last answer of a done chunk came; None when there is none."""
        ...

    def failure_groups(self, job_key: JobKey, limit: int) -> list[FailureGroup]:
        """Those with the most attempts first."""
        ...

    def fault_groups(self, job_key: JobKey, limit: int) -> list[FaultGroup]:
        """Those with the most chunks first."""
        ...

"""Rows of the main job: accounts and keys, jobs, chunks, attempts, workers, the story."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fallow.core.changes import Change
from fallow.core.chunk import Artifact, Attempt, Case, Extent, ItemFault
from fallow.core.job import JobSpec
from fallow.core.lifecycle import JobEvent
from fallow.core.progress import Counters
from fallow.core.words import (
    AttemptId,
    ChunkId,
    ChunkState,
    JobId,
    JobKey,
    JobState,
    Kind,
    Micros,
    Scope,
    WorkerId,
)

ALWAYS = Micros(0)  # before every moment


@dataclass(frozen=True, slots=True)
class PlanCursor:
    """How far the planner has read: the next extent starts at `position` (a byte, or a row group), the next item is
    `next_item`. memory: what the planner must know to go on (CSV columns, the input's own digest so far), JSON."""

    position: int = 0
    next_item: int = 0
    done: bool = False
    memory: str = ""


@dataclass(frozen=True, slots=True)
class JobRow:
    """reason: why it failed, one sentence. output: what the assimilator delivered, JSON, "" before."""

    job_key: JobKey
    job_id: JobId
    account_id: str
    state: JobState
    spec: JobSpec
    counters: Counters
    plan: PlanCursor
    created_at: Micros
    started_at: Micros | None = None
    finished_at: Micros | None = None
    reason: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True)
class PlannedChunk:
    """fault: the chunk is refused at once (planned -> failed): its only item can never be sent."""

    item_start: int
    item_count: int
    extent: Extent
    fault: ItemFault | None = None


@dataclass(frozen=True, slots=True)
class Leased:
    """An attempt that was just leased, with what a worker must be told about its chunk."""

    attempt_id: AttemptId
    chunk_id: ChunkId
    item_start: int
    item_count: int
    extent: Extent


@dataclass(frozen=True, slots=True)
class Terms:
    """What a lease keeps to beside the usual. class_name: chunks whose attempts are kept to another class of machines
    are passed over; "": any. account_id: so are those of which this account's workers hold or answered one; "": none.
    """

    class_name: str = ""
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt with all that is known of it. envelope: the signed receipt, b"" if there is none."""

    attempt: Attempt
    queued_at: Micros
    leased_at: Micros | None
    over_at: Micros | None
    envelope: bytes
    exit_code: int | None
    log_tail: str
    log_size_bytes: int
    cpu_seconds: float
    memory_bytes_max: int


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A chunk for a listing. attempts_made: attempts that were leased at least once. last_*: of the newest failure."""

    case: Case
    attempts_made: int
    leased: bool
    invalid: bool
    last_code: str
    last_message: str


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A chunk that is over (done or failed), for merging and reading. attempt_*: of the canonical attempt."""

    chunk_id: ChunkId
    state: ChunkState
    item_start: int
    item_count: int
    fault: ItemFault | None
    attempt_id: AttemptId | None = None
    worker_id: WorkerId | None = None
    artifact: Artifact | None = None
    items_root: str = ""
    item_errors: int = 0
    envelope: bytes = b""
    answers_wanted: int = 1


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """capability: JSON, as the worker sent it. failures: worker-class failures and invalid answers in a row."""

    worker_id: WorkerId
    account_id: str
    name: str
    label: str | None
    public_key: bytes
    capability: str
    session: str
    joined_at: Micros
    seen_at: Micros
    failures: int = 0
    backoff_until: Micros = ALWAYS
    leaving: bool = False
    attempts_leased: int = 0  # held now
    held_at: Micros = ALWAYS  # since when an operator gives it nothing new; 0: it gets work


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key; only its SHA-256 is kept."""

    key_id: str
    account_id: str
    name: str
    secret_sha256: str
    scopes: frozenset[Scope]
    created_at: Micros
    expires_at: Micros | None = None
    revoked_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class StoryRow:
    """One move. from_state: "" for a birth. by: "planner", "worker w-1", "key k-1", ..."""

    story_id: int
    at: Micros
    kind: Kind
    job_key: JobKey
    chunk_id: ChunkId | None
    attempt_id: AttemptId | None
    from_state: str
    to_state: str
    event: str
    cause: str
    by: str


@dataclass(frozen=True, slots=True)
class Packed:
    """An artifact in a pack: `size_bytes` bytes from `offset`."""

    pack_id: int
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ChunkRef:
    job_key: JobKey
    chunk_id: ChunkId


@dataclass(frozen=True, slots=True)
class Touched:
    """What apply() left behind: the counters of each job it touched, as they are now."""

    counters: dict[JobKey, Counters] = field(default_factory=dict)
    new_chunks: tuple[ChunkRef, ...] = ()


class WorkTx(Protocol):
    """The verbs of the main job."""

    # accounts, keys, settings
    def add_account(self, account_id: str, name: str, now: Micros) -> None: ...
    def add_key(self, key: KeyRow) -> None: ...
    def key(self, key_id: str) -> KeyRow | None: ...
    def keys(self, account_id: str | None) -> list[KeyRow]: ...
    def revoke_key(self, key_id: str, now: Micros) -> bool: ...
    def setting(self, name: str) -> str | None: ...
    def add_setting(self, name: str, value: str) -> None:
        """Unless it is there. Whoever else adds it at the same moment waits, and then finds ours."""
        ...

    def set_setting(self, name: str, value: str) -> None: ...

    # jobs
    def add_job(self, spec: JobSpec, account_id: str, now: Micros, by: str) -> JobRow:
        """Born in `planning`. Raises Refusal JOB_ID_TAKEN."""
        ...

    def job(self, job_id: str) -> JobRow | None: ...
    def job_by_key(self, job_key: JobKey) -> JobRow | None: ...
    def jobs(
        self, *, account_id: str | None, before: JobKey | None, limit: int, states: Sequence[JobState] = ()
    ) -> list[JobRow]:
        """Newest first; `before`: only jobs older than that one. account_id None: everybody's."""
        ...

    def leasable_jobs(self, limit: int) -> list[JobRow]:
        """Jobs in planning or running with a queued attempt or a planned chunk: highest priority first, then oldest."""
        ...

    def leasable_jobs_of(self, account_id: str, limit: int) -> list[JobRow]:
        """The same, one account's."""
        ...

    def leasable_jobs_for_volunteers(self, account_id: str, others: bool, limit: int) -> list[JobRow]:
        """The same, those that one account's volunteers may have: its own, and `others`' that are for volunteers."""
        ...

    def move_job(
        self, job_key: JobKey, event: JobEvent, cause: str, by: str, now: Micros, reason: str = ""
    ) -> JobState:
        """The new state. Sets started_at at the first PLANNED, finished_at when over (cleared by RERUN), and `reason`.
        Raises lifecycle.IllegalMove."""
        ...

    def claim_job(self, what: str, owner: str, now: Micros, until: Micros) -> JobRow | None:
        """One job that needs `what` and nobody else has claimed (or whose claim ran out), claimed for `owner`.

        what: "plan" (planning or running, plan not done, and fewer than `plan_ahead` chunks waiting), "merge"
        (merging), "sweep" (over, with chunks that are not), "finish" (running, plan done, no chunk waiting).
        A claim is renewed by claiming again as the same owner. SKIP LOCKED where the database has it."""
        ...

    def renew_claim(self, job_key: JobKey, owner: str, until: Micros) -> bool:
        """False when somebody else has it by now."""
        ...

    def release_claim(self, job_key: JobKey, owner: str) -> None: ...

    def add_chunks(
        self, job_key: JobKey, owner: str, chunks: Sequence[PlannedChunk], cursor: PlanCursor, now: Micros
    ) -> bool:
        """Append planned chunks and move the planner's cursor in one. False, and nothing written, when the claim is not
        `owner`'s any more or the job is over. Chunk ids go on from the job's highest."""
        ...

    def set_output(self, job_key: JobKey, output: str) -> None: ...
    def retire_job(self, job_key: JobKey) -> None:
        """Marks a job that is over as being erased: finished_at is 0 from now on."""
        ...

    def delete_job(self, job_key: JobKey, limit: int) -> bool:
        """Removes up to `limit` rows of the job's chunks, attempts and story; True when nothing of it is left."""
        ...

    # chunks
    def open_chunks(self, job_key: JobKey, limit: int, now: Micros, by: str) -> int:
        """Up to `limit` planned chunks, lowest item first: opened, each with answers_wanted queued attempts.

        How many. Chunks that another transaction is opening at this moment are left to it."""
        ...

    def cases(self, refs: Sequence[ChunkRef]) -> list[Case]:
        """The chunks, locked for this transaction, with the attempts of their current run, oldest first."""
        ...

    def cases_of_attempts(self, attempt_ids: Sequence[AttemptId]) -> list[Case]:
        """The same for the chunks of these attempts; attempts that do not exist are left out."""
        ...

    def apply(self, changes: Sequence[Change], now: Micros, by: str) -> Touched:
        """Make these moves, in order. Rows that cases() has not locked in this transaction are locked and read now; a
        move that is not in the tables raises lifecycle.IllegalMove, and the transaction must end with it.
        An attempt moved by REPORT or FAIL takes over its `answer`. Counters follow; each move writes its story.

        To keep the lock order: cases() before lease(), and move_job() after both. The counters are this transaction's
        view: on PostgreSQL others may be changing them, so claim_job("finish") looks again when nobody else did."""
        ...

    def chunk_rows(self, job_key: JobKey, after: int, limit: int, states: Sequence[ChunkState] = ()) -> list[ChunkRow]:
        """In order of chunk id, ids greater than `after` (-1: from the start)."""
        ...

    def chunk_row(self, job_key: JobKey, chunk_id: ChunkId) -> ChunkRow | None: ...
    def cancel_chunks(self, job_key: JobKey, limit: int, now: Micros, by: str) -> int:
        """Up to `limit` chunks that are not over are cancelled; their queued attempts dropped, leased ones aborted."""
        ...

    def reopen_chunks(self, job_key: JobKey, limit: int, now: Micros, by: str) -> int:
        """Up to `limit` failed or cancelled chunks are planned again (RERUN) and count their attempts anew."""
        ...

    def results(self, job_key: JobKey, after_item: int, limit: int) -> list[ResultRow]:
        """Done and failed chunks (not split ones) in item order, item_start greater than `after_item`."""
        ...

    def results_from(self, job_key: JobKey, item: int, limit: int) -> list[ResultRow]:
        """The same from the chunk that holds `item` on (its item_end is `item` or greater)."""
        ...

    # attempts
    def lease(
        self,
        job_key: JobKey,
        worker_id: WorkerId,
        limit: int,
        now: Micros,
        deadline: Micros,
        same_after: Micros,
        terms: Terms | None = None,
    ) -> list[Leased]:
        """Up to `limit` queued attempts of the job, oldest first, now leased by this worker until `deadline`.

        Never two of one chunk, never one of a chunk that this worker holds or has answered well; and one of a chunk
        that it failed, lost or answered with bad bytes only if the attempt was queued at or before `same_after`. SKIP
        LOCKED on PostgreSQL. With `terms` the chunks are locked too, and classes are kept from now on."""
        ...

    def raise_answers(self, job_key: JobKey, chunk_ids: Sequence[ChunkId], wanted: int) -> list[Case]:
        """Those of the chunks that are open or verifying and wanted fewer answers; they want so many now. Locked."""
        ...

    def extend(self, worker_id: WorkerId, attempt_ids: Sequence[AttemptId], deadline: Micros) -> list[AttemptId]:
        """Those of the attempts that this worker still holds; their leases now end at `deadline`."""
        ...

    def held(self, worker_id: WorkerId) -> list[AttemptId]: ...
    def expired(self, now: Micros, limit: int) -> list[ChunkRef]:
        """Chunks with a lease that is over."""
        ...

    def claim_verifying(self, owner: str, limit: int, now: Micros, until: Micros) -> list[Case]:
        """Chunks in `verifying` that nobody else is at, claimed. Nothing is locked afterwards."""
        ...

    def late_answers(self, limit: int) -> list[Case]:
        """Chunks that are over and still have a reported attempt, which came too late to count."""
        ...

    def attempt_rows(self, job_key: JobKey, chunk_id: ChunkId) -> list[AttemptRow]: ...
    def attempt_row(self, attempt_id: AttemptId) -> AttemptRow | None: ...
    def attempts_of_job(self, job_key: JobKey, after: AttemptId, limit: int) -> list[AttemptRow]: ...

    # packs
    def add_pack(self, job_key: JobKey, data: bytes) -> int:
        """Keeps the small artifacts of one job that came in one report; gives the pack's number."""
        ...

    def read_packed(self, wanted: Sequence[Packed]) -> list[bytes | None]:
        """Artifacts out of packs, in the order asked; None where a pack is gone with its job."""
        ...

    # workers
    def save_worker(self, worker: WorkerRow) -> None:
        """Insert, or replace all but joined_at, failures and backoff_until."""
        ...

    def worker(self, worker_id: WorkerId) -> WorkerRow | None: ...
    def workers(self, seen_after: Micros = ALWAYS) -> list[WorkerRow]: ...
    def worker_seen(self, worker_id: WorkerId, now: Micros, leaving: bool) -> None: ...
    def set_worker_backoff(self, worker_id: WorkerId, failures: int, until: Micros) -> None: ...

    # story
    def story(
        self, job_key: JobKey, *, chunk_id: ChunkId | None = None, after: int = 0, limit: int = 1000
    ) -> list[StoryRow]:
        """In the order of writing. With a chunk: its moves and its attempts'. Without one: the job's own moves, and
        those of its chunks and attempts that tell of trouble (errored, lost, invalid, failed, split)."""
        ...

    def job_events(self, after: int, limit: int, job_key: JobKey | None = None) -> list[StoryRow]:
        """All story rows with a number greater than `after`, for event streams."""
        ...

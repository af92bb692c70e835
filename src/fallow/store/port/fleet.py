"""What workers did: records, histories and timelines, each over a bounded number of a worker's newest attempts."""

from dataclasses import dataclass
from typing import Protocol

from fallow.core.job import Image
from fallow.core.words import AttemptId, AttemptState, ChunkId, FailureClass, JobId, JobKey, Micros, WorkerId


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """How a worker's newest attempts ended. good: answered, and not found wrong. items: of the good ones.
    busy_micros: time in which it held at least one of the good ones. median_micros: from lease to answer."""

    over: int = 0
    good: int = 0
    invalid: int = 0
    errored: int = 0
    lost: int = 0
    items: int = 0
    busy_micros: int = 0
    median_micros: int | None = None


@dataclass(frozen=True, slots=True)
class WorkerAttempt:
    """One attempt as a worker's history tells it. account_id: whose job it is of."""

    attempt_id: AttemptId
    job_key: JobKey
    job_id: JobId
    account_id: str
    chunk_id: ChunkId
    state: AttemptState
    leased_at: Micros | None
    over_at: Micros | None
    deadline: Micros | None
    items: int
    item_errors: int
    failure_class: FailureClass | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class WorkerBucket:
    """What a worker did in one span of time that starts at `start`. failures: errored, lost or invalid attempts."""

    start: Micros
    items: int
    chunks: int
    failures: int


class FleetTx(Protocol):
    """The verbs of the fleet's history."""

    def worker_record(self, worker_id: WorkerId, limit: int) -> WorkerRecord:
        """Over the newest `limit` attempts that are over."""
        ...

    def worker_attempts(self, worker_id: WorkerId, before: AttemptId | None, limit: int) -> list[WorkerAttempt]:
        """Newest first, numbers below `before`; those it holds are among them."""
        ...

    def worker_leases(self, worker_id: WorkerId, limit: int) -> list[WorkerAttempt]:
        """What it holds now, oldest first."""
        ...

    def worker_buckets(self, worker_id: WorkerId, since: Micros, span: int, limit: int) -> list[WorkerBucket]:
        """Spans of `span` microseconds since a moment, oldest first, empty ones left out; of its newest `limit`
        attempts."""
        ...

    def worker_images(self, worker_id: WorkerId, limit: int) -> list[Image]:
        """The images of its newest `limit` attempts that answered, the last used first, each once."""
        ...

    def hold_worker(self, worker_id: WorkerId, at: Micros) -> bool:
        """Gives the worker nothing new from `at` on; 0: it gets work again. False when there is no such worker."""
        ...

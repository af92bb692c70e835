"""Rows of BOINC's submit calls: batches, their jobs, and the files that were staged for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fallow.core.words import ChunkState, JobKey, Micros


@dataclass(frozen=True, slots=True)
class BoincBatchRow:
    """job_key: None until jobs were submitted into it. expire_at: 0 for never. final: how it stood when it was
    retired, or aborted before it had a job, JSON."""

    batch_id: int
    account_id: str
    app_name: str
    name: str
    created_at: Micros
    expire_at: Micros
    job_key: JobKey | None
    job_count: int
    retired_at: Micros | None
    final: str


@dataclass(frozen=True, slots=True)
class BoincJobRow:
    """place: the item of the batch's job. outputs: names of its output files. final: as of BoincBatchRow."""

    boinc_job_id: int
    account_id: str
    batch_id: int
    place: int
    name: str
    outputs: tuple[str, ...]
    aborted_at: Micros | None
    final: str


@dataclass(frozen=True, slots=True)
class StandingRow:
    """A job and how its chunk stands. state: None while it has none. is_out: a worker holds it, or its answer is being
    looked at. exit_code: of the newest attempt that failed."""

    job: BoincJobRow
    state: ChunkState | None
    fault_code: str | None
    canonical_id: int
    cpu_seconds: float
    item_errors: int
    is_out: bool
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class AbortRow:
    """job_key: None while the batch has no job."""

    boinc_job_id: int
    job_key: JobKey | None
    place: int


@dataclass(frozen=True, slots=True)
class JobFileRow:
    """delete_at: 0 for never."""

    account_id: str
    name: str
    artifact_key: str
    sha256: str
    size_bytes: int
    created_at: Micros
    delete_at: Micros


class BoincSubmitTx(Protocol):
    """The verbs of BOINC's submit calls."""

    def add_boinc_batch(self, account_id: str, app_name: str, name: str, expire_at: Micros, now: Micros) -> int:
        """Its number."""
        ...

    def boinc_batch(self, batch_id: int) -> BoincBatchRow | None: ...
    def boinc_batch_of_job(self, job_key: JobKey) -> BoincBatchRow | None: ...
    def boinc_batch_named(self, account_id: str, name: str) -> BoincBatchRow | None:
        """The newest of that name."""
        ...

    def boinc_batches(self, account_id: str, after: int, limit: int) -> list[BoincBatchRow]:
        """That are not retired, oldest first."""
        ...

    def start_boinc_batch(self, batch_id: int, job_key: JobKey, job_count: int) -> bool:
        """False when it has a job already, or was aborted or retired."""
        ...

    def abort_boinc_batch(self, batch_id: int, final: str) -> bool:
        """Of a batch that has no job yet; False when it has, or was aborted or retired."""
        ...

    def set_boinc_batch_expiry(self, batch_id: int, expire_at: Micros) -> None: ...
    def retire_boinc_batch(self, batch_id: int, final: str, now: Micros) -> bool:
        """False when it is retired already."""
        ...

    def expired_boinc_batches(self, now: Micros, limit: int) -> list[BoincBatchRow]: ...
    def forget_boinc_batches(self, before: Micros, limit: int) -> int:
        """Removes the rows of batches that were retired before then."""
        ...

    def add_boinc_jobs(self, account_id: str, batch_id: int, jobs: Sequence[tuple[str, Sequence[str]]]) -> None:
        """jobs: (name, names of output files), in the order of their items. No name may be taken."""
        ...

    def taken_boinc_names(self, account_id: str, names: Sequence[str]) -> list[str]: ...
    def boinc_job(self, boinc_job_id: int) -> BoincJobRow | None: ...
    def boinc_jobs_named(self, name: str, account_id: str = "", limit: int = 1) -> list[BoincJobRow]:
        """account_id "": everybody's."""
        ...

    def boinc_jobs_standing(self, batch_id: int, after: int, limit: int, only: int = -1) -> list[StandingRow]:
        """In order, places greater than `after` (-1: from the start). only: just the one of that place."""
        ...

    def boinc_batch_sums(self, job_key: JobKey) -> tuple[float, float]:
        """(processor seconds of all attempts, credit of those that count)."""
        ...

    def abort_boinc_job(self, boinc_job_id: int, now: Micros) -> bool:
        """False when it was aborted before."""
        ...

    def boinc_aborts_due(self, after: int, limit: int) -> list[AbortRow]:
        """Aborted jobs whose chunks do not know it yet, by number."""
        ...

    def boinc_aborts_pending(self, batch_id: int) -> int: ...
    def boinc_abort_done(self, boinc_job_id: int) -> None: ...
    def set_boinc_job_finals(self, finals: Sequence[tuple[int, str]]) -> None:
        """(number, JSON) of jobs whose batch is retired."""
        ...

    def save_boinc_job_file(self, row: JobFileRow) -> None: ...
    def boinc_job_files(self, account_id: str, names: Sequence[str]) -> list[JobFileRow]: ...
    def keep_boinc_job_files(self, account_id: str, names: Sequence[str], delete_at: Micros) -> None:
        """None of them goes before that moment. 0: never."""
        ...

    def forget_boinc_job_files(self, now: Micros) -> int: ...

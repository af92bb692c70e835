"""A task that a client was sent, with its job and what of it is still wanted."""

from dataclasses import dataclass

from fallow.control.scheduler import Offer
from fallow.core.refusals import Code, Refusal
from fallow.core.words import AttemptState
from fallow.store.port import BoincResultRow, JobRow, Leased, Store, Tx


@dataclass(frozen=True, slots=True)
class Task:
    """everything: all attempts that it was sent with. wanted: those that its worker still holds."""

    result: BoincResultRow
    job: JobRow
    everything: tuple[Leased, ...]
    wanted: tuple[Offer, ...]


class Tasks:
    """Looks tasks up."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def one(self, result_id: int) -> Task:
        """Raises Refusal NOT_FOUND for a task that never was or whose job is erased."""
        with self._store.reading() as tx:
            result = tx.boinc_result(result_id)
            if result is None:
                raise _no_task()
            return task_of(tx, result)


def task_of(tx: Tx, result: BoincResultRow) -> Task:
    """Raises Refusal NOT_FOUND when its job is erased."""
    job = tx.job_by_key(result.job_key)
    if job is None:
        raise _no_task()
    chunks = tx.task_chunks(result.attempts)
    if len(chunks) != len(result.attempts):
        raise _no_task()
    everything = tuple(each.leased for each in chunks)
    wanted = tuple(
        Offer(job, each.leased)
        for each in chunks
        if each.state is AttemptState.LEASED and each.worker_id == result.worker_id
    )
    return Task(result, job, everything, wanted)


def _no_task() -> Refusal:
    return Refusal(Code.NOT_FOUND, "There is no such task.")

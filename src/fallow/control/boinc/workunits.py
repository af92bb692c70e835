"""What a script with BOINC's words calls a chunk."""

from collections.abc import Callable

from fallow.control.boinc.batch_standing import job_facts, mask_of
from fallow.control.boinc.scripts import Workunit
from fallow.core.boinc_batches import MASKS, JobError
from fallow.core.words import ChunkState
from fallow.store.port import JobRow, ResultRow, Tx


def workunits(tx: Tx, job: JobRow) -> Callable[[ResultRow], Workunit]:
    """Chunks of a BOINC batch are its jobs, with their names; others are named after their job and number."""
    batch = tx.boinc_batch_of_job(job.job_key)
    if batch is None:
        return lambda row: Workunit(row.chunk_id, f"{job.job_id}_{row.chunk_id}", job.job_key, _mask(row))
    after, named = -1, {}
    while page := tx.boinc_jobs_standing(batch.batch_id, after, 1000):
        for each in page:
            facts = job_facts(each, job)
            named[each.job.place] = Workunit(facts.job_id, facts.name, batch.batch_id, mask_of(facts))
        after = page[-1].job.place
    return lambda row: named[row.item_start]


def _mask(row: ResultRow) -> int:
    """A chunk of one item that is an error is one without a good answer; of many items, each says so itself."""
    failed = row.state is ChunkState.FAILED or (row.item_count == 1 and row.item_errors > 0)
    return MASKS[JobError.ERRORS] if failed else 0

"""How BOINC batches and their jobs end before they are done: aborted, retired, past their time.

An aborted job is marked at once; its chunk is told as soon as it can be. Safe to be killed anywhere: what was marked is
carried out by the next step.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from fallow.control.boinc.batch_standing import ABORTED_FAULT, PAGE, batch_facts, jobs_of
from fallow.control.callers import Caller
from fallow.control.jobs import Jobs, erase
from fallow.control.places import Places
from fallow.control.work import apply_settled
from fallow.core.boinc_batches import BatchState, JobFacts
from fallow.core.changes import Change, MoveChunk
from fallow.core.chunk import ItemFault
from fallow.core.lifecycle import JOB_OVER, ChunkEvent
from fallow.core.refusals import Code, Refusal
from fallow.core.settling import carry, settle
from fallow.core.words import ChunkId, ChunkState, JobKey, Micros, Scope
from fallow.store.port import BoincBatchRow, ChunkRef, Store, Tx

_SWEEP: Final = 100
_DUE_AT_ONCE: Final = 1000
_FORGET_SECONDS: Final = 30 * 86400  # after it was retired, nobody asks for a batch any more
_ABORTS: Final[Mapping[ChunkState, ChunkEvent]] = {
    ChunkState.PLANNED: ChunkEvent.REFUSE,
    ChunkState.OPEN: ChunkEvent.FAIL,
}
_OVER: Final = (ChunkState.DONE, ChunkState.FAILED, ChunkState.CANCELLED)


class BatchEnds:
    """The verbs take rows that their callers may change."""

    def __init__(self, store: Store, places: Places) -> None:
        self._store = store
        self._places = places
        self._jobs = Jobs(store, places)

    def abort(self, caller: Caller, row: BoincBatchRow) -> None:
        """What is done stays; the rest will not be done."""
        with self._store.transaction() as tx:
            job = tx.job_by_key(row.job_key) if row.job_key is not None else None
            if row.job_key is None:
                facts = replace(batch_facts(tx, row, cpu=True), state=BatchState.ABORTED)
                tx.abort_boinc_batch(row.batch_id, msgspec.json.encode(facts).decode())
        if job is None or job.state in JOB_OVER:
            return
        try:
            self._jobs.cancel(caller, job.job_id)
        except Refusal as refusal:
            if refusal.code is not Code.STATE_CONFLICT:  # it ended in the same moment
                raise

    def abort_due(self) -> bool:
        """Tells chunks of aborted jobs. True when one was told; those that are not planned yet, or whose answer is
        being looked at, wait."""
        told, after = False, 0
        while True:
            with self._store.reading() as tx:
                due = tx.boinc_aborts_due(after, _DUE_AT_ONCE)
            for each in due:
                with self._store.transaction() as tx:
                    if each.job_key is None or self._told(tx, each.job_key, ChunkId(each.place)):
                        tx.boinc_abort_done(each.boinc_job_id)
                        told = True
            if len(due) < _DUE_AT_ONCE:
                return told
            after = due[-1].boinc_job_id

    def retire(self, caller: Caller, row: BoincBatchRow) -> None:
        """Its outputs go; how it stood is kept."""
        if row.retired_at is not None:
            return
        self.abort(caller, row)
        with self._store.transaction() as tx:
            job = tx.job_by_key(row.job_key) if row.job_key is not None else None
            facts = batch_facts(tx, replace(row, retired_at=self._now(), final=""), cpu=True)
            if not tx.retire_boinc_batch(row.batch_id, msgspec.json.encode(facts).decode(), self._now()):
                return
            for page in _pages(jobs_of(tx, row)):
                tx.set_boinc_job_finals([(each.job_id, msgspec.json.encode(each).decode()) for each in page])
            if job is not None:
                tx.retire_job(job.job_key)
        if job is not None:
            erase(self._store, self._places, job)

    def step(self) -> bool:
        """What nobody waits for: aborts that could not be carried out at once, batches and files past their time."""
        now = self._now()
        did = self.abort_due()
        with self._store.reading() as tx:
            expired = tx.expired_boinc_batches(now, _SWEEP)
        for row in expired:
            owner = Caller("", row.account_id, frozenset({Scope.SUBMIT}))
            self.retire(owner, row)
        with self._store.transaction() as tx:
            forgotten = tx.forget_boinc_batches(Micros(now - _FORGET_SECONDS * 1_000_000), _SWEEP)
            files = tx.forget_boinc_job_files(now)
        return did or bool(expired or forgotten or files)

    def _now(self) -> Micros:
        return self._places.clock.now()

    def _told(self, tx: Tx, job_key: JobKey, chunk_id: ChunkId) -> bool:
        cases = tx.cases([ChunkRef(job_key, chunk_id)])
        job = tx.job_by_key(job_key)
        if job is None or job.state in JOB_OVER:
            return True
        if not cases or cases[0].chunk.state in _OVER:
            return bool(cases)
        event = _ABORTS.get(cases[0].chunk.state)
        if event is None:
            return False
        fault = ItemFault(ABORTED_FAULT, "The job was aborted.")
        changes: list[Change] = [MoveChunk(job_key, chunk_id, event, "aborted by its submitter", fault=fault)]
        carry(cases[0], changes)
        changes += settle(cases[0], job.spec, self._now())
        apply_settled(tx, changes, self._now(), f"account {job.account_id}")
        return True


def _pages(facts: Iterator[JobFacts]) -> Iterator[list[JobFacts]]:
    page: list[JobFacts] = []
    for each in facts:
        page.append(each)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page

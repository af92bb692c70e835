"""Jobs: their lives, who has claimed them, and what the planner adds to them."""

from collections.abc import Sequence
from itertools import chain, repeat

from fallow.core.chapter import UNKNOWN
from fallow.core.job import JobSpec
from fallow.core.lifecycle import (
    JOB_OVER,
    ChunkEvent,
    IllegalMove,
    JobEvent,
    chunk_after,
    job_after,
)
from fallow.core.notices import end_of_job
from fallow.core.refusals import Code, Refusal
from fallow.core.words import ChunkId, ChunkState, JobKey, JobState, Micros
from fallow.store.apply import INSERT_CHUNK
from fallow.store.ledger import ITEMS_FAILED, ITEMS_TOTAL, OF_CHUNK
from fallow.store.port import JobRow, PlanCursor, PlannedChunk
from fallow.store.rows import job_of, spec_text, storable
from fallow.store.session import Row
from fallow.store.verbs.base import Verbs

NEWEST = 2**62  # above every job key
DELETE_STEPS = (
    "delete_story",
    "delete_packs",
    "delete_credit",
    "delete_boinc_results",
    "delete_chunk_classes",
    "delete_attempts",
    "delete_chunks",
    "delete_feed_parts",
)


class JobVerbs(Verbs):
    def add_job(self, spec: JobSpec, account_id: str, now: Micros, by: str) -> JobRow:
        state = job_after(None, JobEvent.SUBMIT)
        params = {
            "job_id": spec.job_id,
            "account_id": account_id,
            "state": state.value,
            "priority": spec.priority,
            "now": now,
        }
        row = self.session.one("insert_job", params)
        if row is None:
            raise Refusal(Code.JOB_ID_TAKEN, f"There is a job {spec.job_id} already.", "Choose another job id.")
        job_key = JobKey(row[0])
        self.born[job_key] = spec
        self.session.run("insert_job_text", {"job_key": job_key, "spec": spec_text(spec)})
        self.ledger.tell(now, job_key, None, None, "", state, JobEvent.SUBMIT, "", by)
        found = self.job_by_key(job_key)
        assert found is not None
        return found

    def job(self, job_id: str) -> JobRow | None:
        self.ledger.flush()
        return self._job(self.session.one("job_by_id", {"job_id": job_id}))

    def job_by_key(self, job_key: JobKey) -> JobRow | None:
        self.ledger.flush()
        return self._job(self.session.one("job_by_key", {"job_key": job_key}))

    def _job(self, row: Row | None) -> JobRow | None:
        return None if row is None else job_of(row, self.spec(row[0]))

    def jobs(
        self, *, account_id: str | None, before: JobKey | None, limit: int, states: Sequence[JobState] = ()
    ) -> list[JobRow]:
        self.ledger.flush()
        name = "jobs" if account_id is None else "jobs_of_account"
        states = states or tuple(JobState)
        params = {
            "account_id": account_id,
            "before": NEWEST if before is None else before,
            "limit": limit,
            "states": [state.value for state in states],
        }
        return [job_of(row, self.spec(row[0])) for row in self.session.all(name, params)]

    def leasable_jobs(self, limit: int) -> list[JobRow]:
        rows = self.session.all("leasable_jobs", {"limit": limit})
        return [job_of(row, self.spec(row[0])) for row in rows]

    def leasable_jobs_of(self, account_id: str, limit: int) -> list[JobRow]:
        rows = self.session.all("leasable_jobs_of", {"account_id": account_id, "limit": limit})
        return [job_of(row, self.spec(row[0])) for row in rows]

    def leasable_jobs_for_volunteers(self, account_id: str, others: bool, limit: int) -> list[JobRow]:
        params = {"account_id": account_id, "others": int(others), "limit": limit}
        rows = self.session.all("leasable_jobs_for_volunteers", params)
        return [job_of(row, self.spec(row[0])) for row in rows]

    def move_job(
        self, job_key: JobKey, event: JobEvent, cause: str, by: str, now: Micros, reason: str = ""
    ) -> JobState:
        self.ledger.flush()  # locks the jobs that this transaction has touched so far, in their order
        row = self.session.one("lock_job", {"job_key": job_key})
        if row is None:
            raise IllegalMove(f"there is no job {job_key} that could {event}")
        before, started_at = JobState(row[0]), row[1]
        after = job_after(before, event)
        if started_at is None and event is JobEvent.PLANNED:
            started_at = now
        params = {
            "job_key": job_key,
            "state": after.value,
            "started_at": started_at,
            "finished_at": now if after in JOB_OVER else None,
        }
        self.session.run("move_job", params)
        if reason or event is JobEvent.RERUN:
            self.session.run("set_reason", {"job_key": job_key, "reason": storable(reason)})
        self.ledger.tell(now, job_key, None, None, before, after, event, storable(cause), by, now - row[2])
        if after in JOB_OVER:
            kind = end_of_job(after, is_batch=False)
            self.session.run("add_news", {"now": now, "job_key": job_key, "kind": kind.value})
        return after

    def claim_job(self, what: str, owner: str, now: Micros, until: Micros) -> JobRow | None:
        self.ledger.flush()
        params = {"what": what, "owner": owner, "now": now, "plan_ahead": self.plan_ahead}
        row = self.session.one("claimable_job", params)
        if row is None:
            return None
        self.session.run("set_claim", {"job_key": row[0], "owner": owner, "until": until})
        return job_of(row, self.spec(row[0]))

    def renew_claim(self, job_key: JobKey, owner: str, until: Micros) -> bool:
        return self.session.run("renew_claim", {"job_key": job_key, "owner": owner, "until": until}) > 0

    def release_claim(self, job_key: JobKey, owner: str) -> None:
        self.session.run("release_claim", {"job_key": job_key, "owner": owner})

    def add_chunks(
        self, job_key: JobKey, owner: str, chunks: Sequence[PlannedChunk], cursor: PlanCursor, now: Micros
    ) -> bool:
        first = self.chunk_numbers(job_key, len(chunks)).start  # before the job: lock order
        params = {
            "job_key": job_key,
            "owner": owner,
            "position": cursor.position,
            "next_item": cursor.next_item,
            "done": int(cursor.done),
        }
        if not self.session.run("move_cursor", params):
            return False
        self.session.run("set_plan_memory", {"job_key": job_key, "memory": cursor.memory})
        wanted = self.spec(job_key).answers_first
        ages = chain([self._age(job_key, now)] if first == 0 and chunks else [], repeat(UNKNOWN))
        rows = [self._plan(job_key, ChunkId(first + n), each, wanted, now, next(ages)) for n, each in enumerate(chunks)]
        if rows:
            self.session.many("insert_chunks", INSERT_CHUNK, rows)
        return True

    def _age(self, job_key: JobKey, now: Micros) -> int:
        """How long ago it was submitted."""
        row = self.session.one("lock_job", {"job_key": job_key})
        return UNKNOWN if row is None else now - row[2]

    def _plan(
        self, job_key: JobKey, chunk_id: ChunkId, planned: PlannedChunk, wanted: int, now: Micros, age: int
    ) -> Row:
        """The row of a new chunk, its story and its counters told."""
        deltas = self.ledger.deltas(job_key)
        deltas[ITEMS_TOTAL] += planned.item_count
        state = chunk_after(None, ChunkEvent.PLAN)
        self.ledger.tell(now, job_key, chunk_id, None, "", state, ChunkEvent.PLAN, "", "planner", age)
        fault = planned.fault
        if fault is not None:
            before, state = state, chunk_after(state, ChunkEvent.REFUSE)
            cause = storable(f"{fault.code}: {fault.message}")
            self.ledger.tell(now, job_key, chunk_id, None, before, state, ChunkEvent.REFUSE, cause, "planner")
        if state is ChunkState.FAILED:
            deltas[ITEMS_FAILED] += planned.item_count
        deltas[OF_CHUNK[state]] += 1
        extent = planned.extent
        return (
            job_key,
            chunk_id,
            state.value,
            0,
            planned.item_start,
            planned.item_count,
            extent.start,
            extent.length,
            extent.skip,
            extent.sha256,
            wanted,
            0,
            0,
            None,
            None,
            storable(fault.code) if fault else None,
            storable(fault.message) if fault else None,
        )

    def chunk_numbers(self, job_key: JobKey, count: int) -> range:
        """The next `count` free chunk numbers; nobody else gets any of this job until the transaction ends."""
        row = self.session.one("next_chunk_id", {"job_key": job_key})
        assert row is not None
        return range(row[0], row[0] + count)

    def set_output(self, job_key: JobKey, output: str) -> None:
        self.session.run("set_output", {"job_key": job_key, "output": output})

    def retire_job(self, job_key: JobKey) -> None:
        self.session.run("retire_job", {"job_key": job_key})

    def delete_job(self, job_key: JobKey, limit: int) -> bool:
        self.ledger.flush()
        left = limit
        for step in DELETE_STEPS:
            left -= self.session.run(step, {"job_key": job_key, "limit": left})
            if left <= 0:
                return False
        self.session.run("delete_live_logs_of", {"job_key": job_key})
        self.session.run("delete_job_text", {"job_key": job_key})
        self.session.run("delete_feed", {"job_key": job_key})
        self.session.run("delete_batch", {"job_key": job_key})
        self.session.run("delete_job", {"job_key": job_key})
        self.specs.forget(job_key)
        return True

"""A job with chunks in a store, and the few steps that most tests take."""

from dataclasses import replace

from fallow.core.changes import Change, MoveAttempt, MoveChunk
from fallow.core.chunk import Answer, Artifact, Case, Extent
from fallow.core.job import Input, JobSpec, VerifyMethod, VerifyPolicy
from fallow.core.lifecycle import AttemptEvent, ChunkEvent, JobEvent
from fallow.core.progress import Counters
from fallow.core.words import AttemptId, ChunkId, InputFormat, JobId, JobKey, Micros, WorkerId
from fallow.store.audit import problems
from fallow.store.port import ChunkRef, JobRow, Leased, PlanCursor, PlannedChunk, Store

T0 = Micros(1_700_000_000_000_000)
SECOND = 1_000_000
LEASE = Micros(T0 + 1800 * SECOND)
NEVER = Micros(0)  # same_after: no attempt was queued before it
ITEMS = 10


def spec(name: str = "job-1", quorum: int = 1, priority: int = 0) -> JobSpec:
    method = VerifyMethod.QUORUM if quorum > 1 else VerifyMethod.HASH
    return JobSpec(
        JobId(name),
        Input("file:///in.jsonl", InputFormat.JSONL, 1000, "etag"),
        command=("cat",),
        env={"A": "b"},
        verify=VerifyPolicy(method, quorum),
        priority=priority,
    )


def planned(first: int, count: int) -> list[PlannedChunk]:
    return [PlannedChunk(n * ITEMS, ITEMS, Extent(n * 200, 200, 0, "")) for n in range(first, first + count)]


def answer(attempt_id: int, item_errors: int = 0) -> Answer:
    return Answer(b"envelope %d" % attempt_id, Artifact(f"a/{attempt_id}", "ab" * 32, 20, 3), "cd" * 32, item_errors)


class Yard:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.jobs: list[JobKey] = []
        with store.transaction() as tx:
            tx.add_account("acme", "Acme", T0)

    def job(
        self,
        chunks: int = 0,
        opened: int = 0,
        name: str = "job-1",
        quorum: int = 1,
        priority: int = 0,
        verify: VerifyPolicy | None = None,
        asked: JobSpec | None = None,
        account: str = "acme",
    ) -> JobRow:
        """A job, its input read to the end, some of its chunks opened. asked: instead of name to verify."""
        asked = asked or spec(name, quorum, priority)
        with self.store.transaction() as tx:
            job = tx.add_job(replace(asked, verify=verify or asked.verify), account, T0, "key k-1")
        self.jobs.append(job.job_key)
        with self.store.transaction() as tx:
            assert tx.claim_job("plan", "planner", T0, LEASE)
        with self.store.transaction() as tx:
            assert tx.add_chunks(job.job_key, "planner", planned(0, chunks), PlanCursor(chunks, chunks, True, "m"), T0)
            tx.release_claim(job.job_key, "planner")
            tx.move_job(job.job_key, JobEvent.PLANNED, "", "planner", T0)
        self.open(job, opened)
        return self.row(job)

    def open(self, job: JobRow, count: int) -> int:
        with self.store.transaction() as tx:
            return tx.open_chunks(job.job_key, count, T0, "scheduler") if count else 0

    def row(self, job: JobRow) -> JobRow:
        with self.store.reading() as tx:
            found = tx.job_by_key(job.job_key)
        assert found is not None
        return found

    def counters(self, job: JobRow) -> Counters:
        return self.row(job).counters

    def lease(
        self, job: JobRow, worker: str = "w-1", limit: int = 10, now: int = T0, same_after: int = NEVER
    ) -> list[Leased]:
        with self.store.transaction() as tx:
            return tx.lease(job.job_key, WorkerId(worker), limit, Micros(now), LEASE, Micros(same_after))

    def apply(self, *changes: Change, now: int = T0) -> None:
        with self.store.transaction() as tx:
            tx.apply(changes, Micros(now), "test")

    def report(self, job: JobRow, leased: Leased, item_errors: int = 0) -> None:
        self.apply(*done(job, leased, item_errors))

    def case(self, job: JobRow, chunk_id: int) -> Case:
        with self.store.transaction() as tx:
            [case] = tx.cases([ChunkRef(job.job_key, ChunkId(chunk_id))])
        return case

    def check(self) -> None:
        """Counters and story agree with the rows."""
        for job_key in self.jobs:
            with self.store.reading() as tx:
                assert tx.job_by_key(job_key) is None or problems(tx, job_key) == []


def done(job: JobRow, leased: Leased, item_errors: int = 0) -> list[Change]:
    """The whole of a good report: reported, verified, accepted."""
    attempt_id = AttemptId(leased.attempt_id)
    return [
        MoveAttempt(attempt_id, AttemptEvent.REPORT, "", answer(attempt_id, item_errors)),
        MoveChunk(job.job_key, leased.chunk_id, ChunkEvent.VERIFY, "the answer is in"),
        MoveAttempt(attempt_id, AttemptEvent.AGREE, "", checked=True),
        MoveChunk(job.job_key, leased.chunk_id, ChunkEvent.ACCEPT, canonical=attempt_id),
    ]

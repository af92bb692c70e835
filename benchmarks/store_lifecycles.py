"""Chunk lifecycles a second of the bare store: planned, opened, leased, reported, verified, accepted; each move told.

    python benchmarks/store_lifecycles.py sqlite:///tmp/bench.db
    python benchmarks/store_lifecycles.py postgresql://postgres@127.0.0.1/bench

One thread, one transaction per batch: report n, lease n, open more when few are queued. Asserts nothing.
"""

import argparse
import time

from fallow.core.changes import Change, MoveAttempt, MoveChunk
from fallow.core.chunk import Answer, Artifact, Extent
from fallow.core.job import Input, JobSpec
from fallow.core.lifecycle import AttemptEvent, ChunkEvent, JobEvent
from fallow.core.words import InputFormat, JobId, Micros, WorkerId
from fallow.store.opening import open_store
from fallow.store.port import JobRow, Leased, PlanCursor, PlannedChunk, Store, Tx

ENVELOPE = b"r" * 1100  # a signed receipt
OPENED_AT_ONCE = 400
BY = "worker w-1"


def now() -> Micros:
    return Micros(time.time_ns() // 1000)


def plan(store: Store, name: str, waiting: int) -> JobRow:
    with store.transaction() as tx:
        tx.add_account("bench", "bench", now())
        job = tx.add_job(JobSpec(JobId(name), Input("file:///x", InputFormat.JSONL)), "bench", now(), "bench")
    with store.transaction() as tx:
        assert tx.claim_job("plan", "planner", now(), Micros(now() + 10**9))
    for first in range(0, waiting, 5000):
        add(store, job, first, min(5000, waiting - first))
    return job


def add(store: Store, job: JobRow, first: int, count: int) -> None:
    chunks = [PlannedChunk(n * 100, 100, Extent(n * 20_000, 20_000)) for n in range(first, first + count)]
    with store.transaction() as tx:
        assert tx.add_chunks(job.job_key, "planner", chunks, PlanCursor(first + count), now())


def report(tx: Tx, held: list[Leased]) -> None:
    changes: list[Change] = []
    for case in tx.cases_of_attempts([each.attempt_id for each in held]):
        chunk, attempt = case.chunk, case.attempts[0]
        artifact = Artifact(f"a/{attempt.attempt_id}", "ab" * 32, 20_000)
        answer = Answer(ENVELOPE, artifact, "cd" * 32, log_tail="done", cpu_seconds=1.5, memory_bytes_max=2**28)
        changes += [
            MoveAttempt(attempt.attempt_id, AttemptEvent.REPORT, "", answer),
            MoveChunk(chunk.job_key, chunk.chunk_id, ChunkEvent.VERIFY, "the answer is in"),
            MoveAttempt(attempt.attempt_id, AttemptEvent.AGREE, "", checked=True),
            MoveChunk(chunk.job_key, chunk.chunk_id, ChunkEvent.ACCEPT, canonical=attempt.attempt_id),
        ]
    tx.apply(changes, now(), BY)


def lifecycles(store: Store, job: JobRow, batch: int, seconds: float) -> tuple[int, float]:
    """How many chunks went all the way, and in how long."""
    held: list[Leased] = []
    done = 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        leased: list[Leased] = []
        with store.transaction() as tx:
            if held:
                report(tx, held)
            for row in tx.leasable_jobs(32):
                if row.counters.attempts_queued < batch:
                    tx.open_chunks(row.job_key, max(OPENED_AT_ONCE, batch), now(), "scheduler")
                moment = now()
                lease_end = Micros(moment + 1_800_000_000)
                leased = tx.lease(row.job_key, WorkerId("w-1"), batch, moment, lease_end, moment)
        done += len(held)
        held = leased
        if not held:
            break
    return done, time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--waiting", type=int, nargs="*", default=[1000, 100_000])
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 10, 100])
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    store = open_store(args.url)
    store.migrate()
    print(f"{store.dialect}\nwaiting  batch  planned/s  lifecycles/s  us/chunk with planning")
    for waiting in args.waiting:
        for batch in args.batch:
            begin = time.perf_counter()
            job = plan(store, f"bench-{waiting}-{batch}-{now()}", waiting)
            planning = (time.perf_counter() - begin) / waiting
            done, took = lifecycles(store, job, batch, args.seconds)
            each = took / done
            print(f"{waiting:7}  {batch:5}  {1 / planning:9.0f}  {1 / each:12.0f}  {1e6 * (each + planning):8.0f}")
            with store.transaction() as tx:  # out of the way of the next one
                tx.move_job(job.job_key, JobEvent.CANCEL, "", BY, now())
    store.close()


if __name__ == "__main__":
    main()

"""Many threads at once: nothing is handed out twice, nobody waits for ever, and the counters stay right."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from fallow.core.changes import MoveAttempt
from fallow.core.lifecycle import AttemptEvent
from fallow.core.words import AttemptId, WorkerId
from fallow.store.apply import Rows
from fallow.store.port import JobRow, Leased
from fallow.store.sqlite import SqliteStore
from tests.store.yard import LEASE, NEVER, T0, Yard, answer, done, spec

THREADS = 8


def at_once(tasks: Sequence[Callable[[], list[AttemptId]]]) -> list[AttemptId]:
    """Runs them in a thread each, started together; raises what the first of them raised."""
    gate = threading.Barrier(len(tasks))

    def run(task: Callable[[], list[AttemptId]]) -> list[AttemptId]:
        gate.wait(30)
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [each for found in pool.map(run, tasks, timeout=120) for each in found]


def test_no_attempt_is_leased_twice(yard: Yard) -> None:
    job = yard.job(120, 120)

    def drain(worker: str) -> list[AttemptId]:
        mine: list[AttemptId] = []
        while got := yard.lease(job, worker, 7):
            mine.extend(each.attempt_id for each in got)
        return mine

    leased = at_once([lambda n=n: drain(f"w-{n}") for n in range(THREADS)])
    assert sorted(leased) == sorted(set(leased))
    left = yard.lease(job, "last", 200)  # SKIP LOCKED may send a thread home while others still hold rows
    assert len(leased) + len(left) == 120


def test_workers_that_report_and_lease_over_several_jobs_never_wait_in_a_circle(yard: Yard) -> None:
    jobs = [yard.job(40, 0, f"job-{n}") for n in range(3)]

    def work(worker: str, order: list[JobRow]) -> list[AttemptId]:
        held: list[tuple[JobRow, Leased]] = []
        finished: list[AttemptId] = []
        idle = 0
        while idle < 3:
            with yard.store.transaction() as tx:
                tx.cases_of_attempts([each.attempt_id for _, each in held])
                tx.apply([move for job, each in held for move in done(job, each)], T0, worker)
                finished += [each.attempt_id for _, each in held]
                held = []
                for job in order:
                    tx.open_chunks(job.job_key, 5, T0, "scheduler")
                    got = tx.lease(job.job_key, WorkerId(worker), 3, T0, LEASE, NEVER)
                    held += [(job, each) for each in got]
            idle = 0 if held else idle + 1
        return finished

    orders = [jobs[n % 3 :] + jobs[: n % 3] for n in range(THREADS)]
    finished = at_once([lambda n=n: work(f"w-{n}", orders[n]) for n in range(THREADS)])
    assert len(finished) == len(set(finished))
    for job in jobs:
        work("last", [job])
        assert yard.counters(job).chunks_done == 40


def test_no_number_is_given_to_two_attempts(yard: Yard) -> None:
    def take() -> list[AttemptId]:
        taken: list[AttemptId] = []
        for _ in range(5):
            with yard.store.transaction() as tx:
                taken.extend(map(AttemptId, cast(Rows, tx).attempt_numbers(4000)))
        return taken

    taken = at_once([take] * THREADS)
    assert len(set(taken)) == len(taken) == THREADS * 5 * 4000


def test_two_answers_to_one_chunk_at_once_both_count(yard: Yard) -> None:
    job = yard.job(20, 20, quorum=2)
    mine, theirs = yard.lease(job, "a", 20), yard.lease(job, "b", 20)

    def report(leased: list[AttemptId]) -> list[AttemptId]:
        for attempt_id in leased:
            with yard.store.transaction() as tx:
                [case] = tx.cases_of_attempts([attempt_id])
                tx.apply([MoveAttempt(attempt_id, AttemptEvent.REPORT, "", answer(attempt_id))], T0, "x")
                assert len(case.attempts) == 2
        return leased

    at_once([lambda: report([x.attempt_id for x in mine]), lambda: report([x.attempt_id for x in reversed(theirs)])])
    with yard.store.reading() as tx:
        rows = tx.chunk_rows(job.job_key, -1, 99)
    assert all([a.state for a in row.case.attempts] == ["reported", "reported"] for row in rows)


def test_a_reader_sees_one_picture_beside_a_writer(yard: Yard) -> None:
    job = yard.job(4)
    with yard.store.reading() as tx:
        assert tx.job_by_key(job.job_key) is not None
        writer = threading.Thread(target=yard.open, args=(job, 4))
        writer.start()
        writer.join(30)
        assert not writer.is_alive()
        seen = tx.job_by_key(job.job_key)
    assert seen is not None
    assert seen.counters.chunks_planned == 4
    assert yard.counters(job).chunks_open == 4


def test_only_one_planner_gets_the_job(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        job = tx.add_job(spec("one"), "acme", T0, "x")

    def claim(owner: str) -> list[AttemptId]:
        with yard.store.transaction() as tx:
            return [AttemptId(1)] if tx.claim_job("plan", owner, T0, LEASE) else []

    assert len(at_once([lambda n=n: claim(f"p-{n}") for n in range(THREADS)])) == 1
    assert job.job_id == "one"


def test_a_transaction_inside_a_transaction_is_told_instead_of_waiting_for_itself(tmp_path: Path) -> None:
    """SQLite only: PostgreSQL has a connection for each."""
    store = SqliteStore(tmp_path / "rows.db")
    with store.transaction(), pytest.raises(RuntimeError, match="inside"), store.transaction():
        pass
    store.close()

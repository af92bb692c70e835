"""What workers did: records, histories and timelines from rows."""

import pytest

from fallow.core.changes import MoveAttempt
from fallow.core.chunk import Answer
from fallow.core.job import Image, Input, JobSpec
from fallow.core.lifecycle import AttemptEvent, JobEvent
from fallow.core.words import AttemptId, AttemptState, FailureClass, InputFormat, JobId, Micros, WorkerId
from fallow.store.port import JobRow, Leased, PlanCursor, Store, WorkerBucket, WorkerRecord, WorkerRow
from tests.store.yard import LEASE, SECOND, T0, Yard, done, planned

W1, W2 = WorkerId("w-1"), WorkerId("w-2")
IMAGE = Image("ghcr.io/acme/model:1", "sha256:" + "ab" * 32, "sha256:" + "cd" * 32, "registry")


def at(seconds: float) -> Micros:
    return Micros(T0 + int(seconds * SECOND))


def answered(yard: Yard, job: JobRow, leased: Leased, seconds: float) -> None:
    yard.apply(*done(job, leased), now=at(seconds))


def failed(yard: Yard, leased: Leased, seconds: float, code: str = "exit_code") -> None:
    said = Answer(failure_class=FailureClass.SUBMITTER, code=code, message="It exited with 1.")
    yard.apply(MoveAttempt(AttemptId(leased.attempt_id), AttemptEvent.FAIL, "", said), now=at(seconds))


def lease(yard: Yard, job: JobRow, worker: WorkerId, count: int, seconds: float) -> list[Leased]:
    return yard.lease(job, worker, count, now=at(seconds))


def test_a_worker_that_did_nothing_has_an_empty_record(yard: Yard) -> None:
    with yard.store.reading() as tx:
        assert tx.worker_record(W1, 100) == WorkerRecord()
        assert tx.worker_attempts(W1, None, 10) == tx.worker_leases(W1, 10) == []
        assert tx.worker_buckets(W1, T0, SECOND, 10) == tx.worker_images(W1, 10) == []


def test_a_record_counts_endings_and_busy_time_once(yard: Yard) -> None:
    """Two chunks overlap for ten seconds, then the worker idles, then does a third: 20 + 10 seconds busy."""
    job = yard.job(6, 6)
    first, second = lease(yard, job, W1, 2, 0)
    answered(yard, job, first, 10)
    answered(yard, job, second, 20)
    [third] = lease(yard, job, W1, 1, 100)
    answered(yard, job, third, 110)
    [bad] = lease(yard, job, W1, 1, 200)
    failed(yard, bad, 201)
    [others] = lease(yard, job, W2, 1, 0)
    answered(yard, job, others, 1000)
    lease(yard, job, W1, 1, 300)  # still at it
    with yard.store.reading() as tx:
        record = tx.worker_record(W1, 100)
        assert (record.over, record.good, record.errored, record.lost, record.invalid) == (4, 3, 1, 0, 0)
        assert (record.items, record.busy_micros, record.median_micros) == (30, 30 * SECOND, 10 * SECOND)
        assert tx.worker_record(W1, 2).good == 1  # only the newest two


def test_a_history_is_newest_first_in_pages(yard: Yard) -> None:
    job = yard.job(5, 5)
    leases = lease(yard, job, W1, 4, 0)
    answered(yard, job, leases[0], 1)
    failed(yard, leases[1], 2)
    with yard.store.reading() as tx:
        page = tx.worker_attempts(W1, None, 3)
        rest = tx.worker_attempts(W1, page[-1].attempt_id, 3)
        held = tx.worker_leases(W1, 10)
    assert [each.attempt_id for each in (*page, *rest)] == [each.attempt_id for each in reversed(leases)]
    assert [each.attempt_id for each in held] == [each.attempt_id for each in leases[2:]]
    assert held[0].deadline == LEASE
    error = page[-1]
    assert (error.state, error.failure_class, error.code) == (AttemptState.ERRORED, FailureClass.SUBMITTER, "exit_code")
    assert (error.job_id, error.account_id, error.items, error.over_at) == ("job-1", "acme", 10, at(2))


def test_a_timeline_has_one_row_a_span(yard: Yard) -> None:
    job = yard.job(6, 6)
    leases = lease(yard, job, W1, 5, 0)
    for leased, seconds in zip(leases, (1, 61, 62, 63, 121), strict=True):
        (failed(yard, leased, seconds) if seconds == 63 else answered(yard, job, leased, seconds))
    minute = 60 * SECOND
    start = T0 // minute * minute
    with yard.store.reading() as tx:
        rows = tx.worker_buckets(W1, Micros(T0), minute, 100)
        late = tx.worker_buckets(W1, at(62), minute, 100)
        newest = tx.worker_buckets(W1, Micros(T0), minute, 1)
    totals = {row.start: (row.items, row.chunks, row.failures) for row in rows}
    assert sum(items for items, _, _ in totals.values()) == 40
    assert all((row.start - start) % minute == 0 for row in rows)
    assert [row.start for row in rows] == sorted(totals)
    assert sum(row.failures for row in rows) == 1
    assert sum(row.chunks for row in late) == 2
    assert newest == [WorkerBucket(Micros(at(121) // minute * minute), 10, 1, 0)]


def test_the_images_a_worker_ran(store: Store) -> None:
    yard = Yard(store)
    spec = JobSpec(JobId("with-image"), Input("file:///in.jsonl", InputFormat.JSONL, 10, "e"), image=IMAGE)
    with store.transaction() as tx:
        row = tx.add_job(spec, "acme", T0, "key k-1")
        assert tx.claim_job("plan", "planner", T0, LEASE)
        assert tx.add_chunks(row.job_key, "planner", planned(0, 2), PlanCursor(1, 1, True, "m"), T0)
        tx.move_job(row.job_key, JobEvent.PLANNED, "", "planner", T0)
    yard.open(row, 2)
    for leased in lease(yard, row, W1, 2, 0):
        answered(yard, row, leased, 1)
    plain = yard.job(1, 1, "without")
    answered(yard, plain, lease(yard, plain, W1, 1, 2)[0], 3)
    with store.reading() as tx:
        assert tx.worker_images(W1, 100) == [IMAGE]
        assert tx.worker_images(W2, 100) == []


def test_a_worker_is_held_and_let_go(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_account("acme", "Acme", T0)
        tx.save_worker(WorkerRow(W1, "acme", "box", None, b"\0" * 32, "{}", "s-1", T0, T0))
        assert tx.hold_worker(W1, at(5))
        assert not tx.hold_worker(W2, at(5))
    with store.transaction() as tx:
        tx.save_worker(WorkerRow(W1, "acme", "box", None, b"\0" * 32, "{}", "s-2", T0, at(9)))  # it says hello again
        found = tx.worker(W1)
        assert found is not None
        assert found.held_at == at(5)
        assert tx.hold_worker(W1, Micros(0))
    with store.reading() as tx:
        assert [row.held_at for row in tx.workers()] == [0]


@pytest.mark.parametrize("query", ["worker_record", "worker_attempts", "worker_buckets", "worker_job_keys"])
def test_a_history_is_read_by_its_index(yard: Yard, query: str) -> None:
    """However many attempts there are: SQLite's own word on how it will look."""
    if yard.store.dialect != "sqlite":
        return
    from fallow.store.statements import statements

    statement = statements("sqlite")[query]
    params = {"worker_id": "w-1", "limit": 9, "before": 99, "since": 0, "span": 60}
    with yard.store.reading() as tx:
        session = tx.session  # type: ignore[attr-defined]
        rows = session._connection.execute(
            "EXPLAIN QUERY PLAN " + statement.sql, {n: params[n] for n in statement.names}
        )
        plan = " | ".join(str(row[3]) for row in rows)
    assert "USING INDEX attempt_worker (worker_id=?" in plan, plan
    assert "SCAN a " not in plan

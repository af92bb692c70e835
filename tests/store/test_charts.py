"""What pages draw of a job, counted by the database."""

import pytest

from fallow.core.changes import MoveAttempt
from fallow.core.chunk import Answer
from fallow.core.lifecycle import AttemptEvent
from fallow.core.words import AttemptId, AttemptState, ChunkState, FailureClass, JobId, JobState, Micros
from fallow.store.port import JobRow, Store
from tests.store.yard import ITEMS, SECOND, T0, Yard, done, spec


def fail(yard: Yard, attempt_id: int, message: str, now: int = T0) -> None:
    wrong = Answer(failure_class=FailureClass.WORKER, code="disk_full", message=message, log_tail="first\nsecond")
    yard.apply(MoveAttempt(AttemptId(attempt_id), AttemptEvent.FAIL, "", wrong), now=now)


@pytest.fixture
def job(yard: Yard) -> JobRow:
    """Ten chunks: 0-2 done by w-1, one a second; 3 and 4 failed on w-2; the rest planned or queued."""
    job = yard.job(chunks=10, opened=6)
    for second, leased in enumerate(yard.lease(job, "w-1", 3)):
        yard.apply(*done(job, leased), now=T0 + (second + 1) * SECOND)
    for leased in yard.lease(job, "w-2", 2):
        fail(yard, leased.attempt_id, "no room")
    return job


def test_a_map_counts_chunks_by_cell_and_state(job: JobRow, store: Store) -> None:
    with store.reading() as tx:
        assert tx.chunk_count(job.job_key) == 10
        counts = tx.cell_counts(job.job_key, 5, 0, 10)
        part = tx.cell_counts(job.job_key, 5, 5, 10)
    assert sum(each.chunks for each in counts) == 10
    assert {(each.cell, each.state): each.chunks for each in counts}[0, ChunkState.DONE] == 3
    assert {each.cell for each in part} == {1}
    assert sum(each.chunks for each in part) == 5


def test_who_ran_what_and_how_long_it_took(job: JobRow, store: Store) -> None:
    with store.reading() as tx:
        each = {run.cell: run for run in tx.cell_runs(job.job_key, 1)}
        both = tx.cell_runs(job.job_key, 10)
    assert (each[0].first_worker, each[0].last_worker, each[0].micros) == ("w-1", "w-1", SECOND)
    assert each[3].first_worker is None
    assert each[3].tries == 1
    assert [(run.cell, run.micros, run.tries) for run in both] == [(0, 2 * SECOND, 1)]


def test_leases_are_seen(job: JobRow, yard: Yard, store: Store) -> None:
    [leased] = yard.lease(job, "w-3", 1)
    with store.reading() as tx:
        assert tx.leased_chunks(job.job_key) == [leased.chunk_id]


def test_what_moved_after_a_mark(job: JobRow, yard: Yard, store: Store) -> None:
    with store.reading() as tx:
        mark = tx.story_mark()
        assert tx.moved_chunks(job.job_key, mark, 100) == []
    [leased] = yard.lease(job, "w-3", 1)
    with store.reading() as tx:
        assert tx.moved_chunks(job.job_key, mark, 100) == [leased.chunk_id]
        assert len(tx.moved_chunks(job.job_key, 0, 1000)) == 10


def test_done_items_over_time(job: JobRow, store: Store) -> None:
    with store.reading() as tx:
        between = tx.done_between(job.job_key)
        spans = tx.done_spans(job.job_key, T0, 2 * SECOND)
    assert between == (T0 + SECOND, T0 + 3 * SECOND)
    assert [(span.number, span.chunks, span.items) for span in spans] == [(0, 1, ITEMS), (1, 2, 2 * ITEMS)]


def test_nothing_done_has_no_beginning(yard: Yard, store: Store) -> None:
    empty = yard.job(chunks=1)
    with store.reading() as tx:
        assert tx.done_between(empty.job_key) is None
        assert tx.failure_groups(empty.job_key, 10) == []
        assert tx.chunk_count(empty.job_key) == 1


def test_failures_are_grouped(job: JobRow, store: Store) -> None:
    with store.reading() as tx:
        [group] = tx.failure_groups(job.job_key, 10)
    assert (group.failure_class, group.state, group.code) == (FailureClass.WORKER, AttemptState.ERRORED, "disk_full")
    assert (group.message, group.attempts, group.chunks, group.first_chunk) == ("no room", 2, 2, 3)


def test_recent_work_is_bounded_by_time_and_by_rows(job: JobRow, yard: Yard, store: Store) -> None:
    other = yard.job(chunks=1, opened=1, name="job-2")
    [leased] = yard.lease(other, "w-1", 1)
    yard.apply(*done(other, leased), now=T0 + 100 * SECOND)
    with store.reading() as tx:
        everything = {each.job_key: each for each in tx.recent_work(T0, 10_000)}
        late = tx.recent_work(Micros(T0 + 50 * SECOND), 10_000)
        none = tx.recent_work(Micros(T0 + 200 * SECOND), 10_000)
    assert (everything[job.job_key].chunks, everything[job.job_key].items) == (3, 3 * ITEMS)
    assert [(each.job_key, each.items) for each in late] == [(other.job_key, ITEMS)]
    assert none == []


def test_jobs_are_found_by_words_states_and_submitter(yard: Yard, store: Store) -> None:
    with store.transaction() as tx:
        tx.add_account("bob", "Bob", T0)
        for name, account in (("Nightly_run", "acme"), ("100%", "bob"), ("x\x00y", "bob")):
            made = spec(f"id-{len(name)}{account}")
            tx.add_job(type(made)(JobId(made.job_id), made.input, command=("cat",), name=name), account, T0, "key k-1")

    def found(text: str = "", account: str | None = None, states: tuple[JobState, ...] = ()) -> list[str]:
        with store.reading() as tx:
            rows = tx.jobs_found(account_id=account, text=text, states=states, before=None, limit=10)
        return [row.spec.name for row in rows]

    assert found("NIGHTLY_") == ["Nightly_run"]
    assert found("0%") == ["100%"]
    assert found("_") == ["Nightly_run"]
    assert found("' OR 1=1 --") == []
    assert len(found("id-")) == 3
    assert len(found(account="bob")) == 2
    assert found(states=(JobState.COMPLETED,)) == []
    with store.reading() as tx:
        assert tx.submitters(10) == [("acme", "Acme"), ("bob", "Bob")]
        assert tx.account_name("bob") == "Bob"
        assert tx.account_name("nobody") == "nobody"

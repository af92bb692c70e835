"""Leasing: who may have which attempt, and for how long."""

import pytest

from fallow.core.changes import MoveAttempt, QueueAttempts
from fallow.core.chunk import Answer
from fallow.core.lifecycle import AttemptEvent
from fallow.core.words import AttemptId, ChunkId, FailureClass, Micros, WorkerId
from fallow.store.port import ChunkRef
from tests.store.yard import LEASE, SECOND, T0, Yard, answer


def test_the_oldest_are_leased_first_and_never_twice(yard: Yard) -> None:
    job = yard.job(5, 5)
    first, second = yard.lease(job, "a", 3), yard.lease(job, "b", 9)
    assert [each.chunk_id for each in first + second] == [0, 1, 2, 3, 4]
    assert (first[1].item_start, first[1].item_count, first[1].extent.start) == (10, 10, 200)
    assert yard.lease(job, "c") == []


def test_a_worker_never_has_two_attempts_of_one_chunk(yard: Yard) -> None:
    job = yard.job(2, 2, quorum=2)
    assert [each.chunk_id for each in yard.lease(job, "a")] == [0, 1]
    assert yard.lease(job, "a") == []
    held = yard.lease(job, "b", 1)
    yard.apply(MoveAttempt(held[0].attempt_id, AttemptEvent.REPORT, "", answer(held[0].attempt_id)))
    yard.apply(QueueAttempts(job.job_key, held[0].chunk_id, 1))
    assert [each.chunk_id for each in yard.lease(job, "b")] == [1]
    assert [each.chunk_id for each in yard.lease(job, "c")] == [0]


@pytest.mark.parametrize("event", [AttemptEvent.FAIL, AttemptEvent.EXPIRE, AttemptEvent.ABORT])
def test_what_a_worker_failed_goes_to_another_first(yard: Yard, event: AttemptEvent) -> None:
    job = yard.job(1, 1)
    [leased] = yard.lease(job, "a")
    brought = Answer(failure_class=FailureClass.WORKER, code="x") if event is AttemptEvent.FAIL else None
    yard.apply(
        MoveAttempt(leased.attempt_id, event, "", brought),
        QueueAttempts(job.job_key, leased.chunk_id, 1),
        now=T0 + SECOND,
    )
    assert yard.lease(job, "a", same_after=T0) == []
    assert len(yard.lease(job, "a", same_after=T0 + SECOND)) == 1


def test_it_goes_to_another_worker_at_once(yard: Yard) -> None:
    job = yard.job(1, 1)
    [leased] = yard.lease(job, "a")
    yard.apply(MoveAttempt(leased.attempt_id, AttemptEvent.EXPIRE), QueueAttempts(job.job_key, leased.chunk_id, 1))
    assert len(yard.lease(job, "b")) == 1


def test_only_what_is_held_is_extended(yard: Yard) -> None:
    job = yard.job(3, 3)
    mine, theirs = yard.lease(job, "a", 2), yard.lease(job, "b", 1)
    yard.report(job, mine[0])
    later = Micros(LEASE + 60 * SECOND)
    ids = [mine[1].attempt_id, mine[0].attempt_id, theirs[0].attempt_id, AttemptId(999)]
    with yard.store.transaction() as tx:
        assert tx.extend(WorkerId("a"), ids, later) == [mine[1].attempt_id]
        assert tx.extend(WorkerId("a"), [], later) == []
        assert tx.held(WorkerId("a")) == [mine[1].attempt_id]
        assert tx.expired(LEASE, 9) == [ChunkRef(job.job_key, theirs[0].chunk_id)]
        assert len(tx.expired(later, 9)) == 2
        assert len(tx.expired(later, 1)) == 1
    assert yard.case(job, mine[1].chunk_id).attempts[0].deadline == later


def test_a_lost_attempt_may_still_report(yard: Yard) -> None:
    job = yard.job(1, 1)
    [leased] = yard.lease(job)
    yard.apply(MoveAttempt(leased.attempt_id, AttemptEvent.EXPIRE))
    assert yard.counters(job).attempts_lost == 1
    yard.report(job, leased)
    assert (yard.counters(job).attempts_lost, yard.counters(job).chunks_done) == (0, 1)


def test_attempt_numbers_are_never_given_twice(yard: Yard) -> None:
    job = yard.job(1, 1)
    [leased] = yard.lease(job)
    with yard.store.transaction() as tx:
        while not tx.delete_job(job.job_key, 100):
            pass
    [next_one] = yard.lease(yard.job(1, 1, "next"))
    assert next_one.attempt_id > leased.attempt_id


def test_attempts_of_a_job_are_paged(yard: Yard) -> None:
    job = yard.job(5, 5)
    yard.job(2, 2, "other")
    with yard.store.reading() as tx:
        first = tx.attempts_of_job(job.job_key, AttemptId(0), 3)
        rest = tx.attempts_of_job(job.job_key, first[-1].attempt.attempt_id, 9)
    assert [row.attempt.chunk_id for row in first + rest] == [0, 1, 2, 3, 4]
    assert first[0].queued_at == T0
    assert tx is not None
    assert yard.case(job, 0).attempts[0].chunk_id == ChunkId(0)

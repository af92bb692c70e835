"""Chunks: opened, moved, split, cancelled, run again, read."""

import pytest

from fallow.core.changes import CutChunk, MoveAttempt, MoveChunk, QueueAttempts
from fallow.core.chunk import Answer, Artifact, Extent, ItemFault
from fallow.core.lifecycle import AttemptEvent, ChunkEvent, IllegalMove, JobEvent
from fallow.core.words import AttemptId, AttemptState, ChunkId, ChunkState, FailureClass, JobKey, WorkerId
from fallow.store.port import ChunkRef
from tests.store.yard import LEASE, NEVER, T0, Yard, answer, done


def test_opening_takes_the_lowest_items_first_and_queues_as_many_attempts_as_answers_are_wanted(yard: Yard) -> None:
    job = yard.job(5, quorum=2)
    assert yard.open(job, 3) == 3
    with yard.store.reading() as tx:
        rows = tx.chunk_rows(job.job_key, -1, 9, [ChunkState.OPEN])
    assert [row.case.chunk.chunk_id for row in rows] == [0, 1, 2]
    assert all([a.state for a in row.case.attempts] == [AttemptState.QUEUED] * 2 for row in rows)
    assert yard.open(job, 99) == 2
    assert yard.open(job, 99) == 0


def test_a_whole_life_ends_done_with_its_answer_and_its_story(yard: Yard) -> None:
    job = yard.job(1, 1)
    [leased] = yard.lease(job)
    with yard.store.transaction() as tx:
        [case] = tx.cases_of_attempts([leased.attempt_id, AttemptId(999_999)])
        assert case.attempts[0].state is AttemptState.LEASED
        touched = tx.apply(done(job, leased, item_errors=2), T0, "worker w-1")
    counters = touched.counters[job.job_key]
    assert (counters.chunks_done, counters.items_done, counters.items_error, counters.attempts_over) == (1, 10, 2, 1)
    assert counters == yard.counters(job)
    with yard.store.reading() as tx:
        row = tx.attempt_row(leased.attempt_id)
        [result] = tx.results(job.job_key, -1, 9)
        story = tx.story(job.job_key, chunk_id=ChunkId(0))
    assert row is not None
    assert (row.envelope, row.over_at, row.attempt.checked) == (b"envelope %d" % leased.attempt_id, T0, True)
    assert row.attempt.artifact == Artifact(f"a/{leased.attempt_id}", "ab" * 32, 20, 3)
    assert (result.attempt_id, result.worker_id, result.items_root) == (leased.attempt_id, "w-1", "cd" * 32)
    assert [(s.kind, s.event) for s in story] == [
        ("chunk", "plan"),
        ("chunk", "open"),
        ("attempt", "queue"),
        ("attempt", "lease"),
        ("attempt", "report"),
        ("chunk", "verify"),
        ("attempt", "agree"),
        ("chunk", "accept"),
    ]


def test_a_failure_keeps_what_the_report_brought(yard: Yard) -> None:
    job = yard.job(1, 1)
    [leased] = yard.lease(job)
    brought = Answer(
        failure_class=FailureClass.SUBMITTER, code="exit", message="It \0 left with 3.", items_done=4, bad_item=4,
        exit_code=3, log_tail="boom \udcff", log_size_bytes=9, cpu_seconds=1.5, memory_bytes_max=7,
    )  # fmt: skip
    yard.apply(
        MoveAttempt(leased.attempt_id, AttemptEvent.FAIL, "exit", brought),
        QueueAttempts(job.job_key, leased.chunk_id, 1),
    )
    with yard.store.reading() as tx:
        [first, second] = tx.attempt_rows(job.job_key, leased.chunk_id)
        chunk = tx.chunk_row(job.job_key, leased.chunk_id)
    assert (first.attempt.failure_class, first.attempt.code, first.attempt.bad_item) == ("submitter", "exit", 4)
    assert (first.exit_code, first.log_size_bytes, first.cpu_seconds, first.memory_bytes_max) == (3, 9, 1.5, 7)
    assert first.log_tail == "boom ?"
    assert second.attempt.state is AttemptState.QUEUED
    assert chunk is not None
    assert (chunk.attempts_made, chunk.leased, chunk.last_code) == (1, False, "exit")


def test_an_illegal_move_in_the_middle_takes_the_moves_before_it_back(yard: Yard) -> None:
    job = yard.job(2, 2)
    first, _ = yard.lease(job)
    with pytest.raises(IllegalMove):
        yard.apply(*done(job, first), MoveChunk(job.job_key, ChunkId(1), ChunkEvent.ACCEPT))
    assert yard.case(job, 0).chunk.state is ChunkState.OPEN
    assert yard.counters(job).attempts_leased == 2


@pytest.mark.parametrize("missing", ["attempt", "chunk"])
def test_moves_of_rows_that_are_not_there_are_illegal(yard: Yard, missing: str) -> None:
    job = yard.job(1)
    attempt = MoveAttempt(AttemptId(77), AttemptEvent.REPORT)
    chunk = MoveChunk(job.job_key, ChunkId(77), ChunkEvent.OPEN)
    with pytest.raises(IllegalMove):
        yard.apply(attempt if missing == "attempt" else chunk)


def test_a_canonical_attempt_must_be_the_chunks_own(yard: Yard) -> None:
    job = yard.job(2, 2)
    first, second = yard.lease(job)
    moves = done(job, first)
    moves[-1] = MoveChunk(job.job_key, first.chunk_id, ChunkEvent.ACCEPT, canonical=second.attempt_id)
    with pytest.raises(IllegalMove):
        yard.apply(*done(job, second), *moves)


def test_a_split_makes_open_pieces_and_saves_the_finished_head(yard: Yard) -> None:
    job = yard.job(1, 1)
    [leased] = yard.lease(job)
    failed = Answer(
        b"signed", Artifact("head", "ab" * 32, 9), "cd" * 32, 1, FailureClass.SUBMITTER, "exit", "Bad.", 4, 4
    )
    pieces = [(0, 4, leased.attempt_id), (4, 1, None), (5, 5, None)]
    with yard.store.transaction() as tx:
        touched = tx.apply(
            [
                MoveAttempt(leased.attempt_id, AttemptEvent.FAIL, "exit", failed),
                MoveChunk(job.job_key, leased.chunk_id, ChunkEvent.SPLIT),
                *(
                    CutChunk(job.job_key, leased.chunk_id, start, count, Extent(0, 200, start), 0, 1, salvage)
                    for start, count, salvage in pieces
                ),
            ],
            T0,
            "x",
        )
        assert touched.new_chunks == tuple(ChunkRef(job.job_key, ChunkId(n)) for n in (1, 2, 3))
        head, bad, _ = tx.cases(touched.new_chunks)
        assert [(a.state, a.worker_id, a.items_done, a.item_errors) for a in head.attempts] == [
            (AttemptState.REPORTED, "w-1", 4, 1)
        ]
        assert head.attempts[0].artifact == Artifact("head", "ab" * 32, 9)
        assert bad.attempts[0].state is AttemptState.QUEUED
        assert (bad.chunk.parent_id, bad.chunk.extent.skip) == (0, 4)
        salvaged = head.attempts[0].attempt_id
        tx.apply([MoveChunk(job.job_key, ChunkId(1), ChunkEvent.VERIFY)], T0, "x")
    with yard.store.reading() as tx:
        row = tx.attempt_row(salvaged)
    assert row is not None
    assert row.envelope == b"signed"
    assert (yard.counters(job).chunks_split, yard.counters(job).chunks_total) == (1, 3)


def test_more_answers_can_be_asked_for(yard: Yard) -> None:
    job = yard.job(1, 1, quorum=2)
    for worker in ("w-1", "w-2"):
        [leased] = yard.lease(job, worker)
        yard.apply(MoveAttempt(leased.attempt_id, AttemptEvent.REPORT, "", answer(leased.attempt_id)))
    yard.apply(
        MoveChunk(job.job_key, ChunkId(0), ChunkEvent.VERIFY),
        MoveChunk(job.job_key, ChunkId(0), ChunkEvent.MORE, "they differ", answers_wanted=3),
        QueueAttempts(job.job_key, ChunkId(0), 1),
    )
    case = yard.case(job, 0)
    assert (case.chunk.state, case.chunk.answers_wanted, len(case.attempts)) == (ChunkState.OPEN, 3, 3)
    assert case.chunk.version > 1
    assert yard.lease(job, "w-1") == []
    assert len(yard.lease(job, "w-3")) == 1


def test_an_answer_after_the_end_is_found_as_late(yard: Yard) -> None:
    job = yard.job(2, 2, quorum=2)
    slow = yard.lease(job, "slow")
    fast = yard.lease(job, "fast")
    for leased in fast:
        yard.apply(*done(job, leased))
    yard.apply(MoveAttempt(slow[0].attempt_id, AttemptEvent.REPORT, "", answer(slow[0].attempt_id)))
    with yard.store.transaction() as tx:
        [case] = tx.late_answers(9)
    assert case.chunk.chunk_id == slow[0].chunk_id
    yard.apply(MoveAttempt(slow[0].attempt_id, AttemptEvent.DISAGREE))
    with yard.store.transaction() as tx:
        assert tx.late_answers(9) == []


def test_an_answer_left_open_when_its_chunk_ends_is_late_too(yard: Yard) -> None:
    job = yard.job(1, 1, quorum=2)
    [one], [two] = yard.lease(job, "one"), yard.lease(job, "two")
    yard.apply(MoveAttempt(one.attempt_id, AttemptEvent.REPORT, "", answer(one.attempt_id)))
    yard.apply(*done(job, two))
    with yard.store.transaction() as tx:
        [case] = tx.late_answers(9)
    assert [a.state for a in case.attempts] == [AttemptState.REPORTED, AttemptState.VALID]


def test_cancelling_goes_in_batches_and_takes_back_what_was_handed_out(yard: Yard) -> None:
    job = yard.job(6, 3)
    held, finished = yard.lease(job, limit=2)
    yard.report(job, finished)
    with yard.store.transaction() as tx:
        tx.move_job(job.job_key, JobEvent.CANCEL, "", "x", T0)
    counts = []
    for _ in range(4):
        with yard.store.transaction() as tx:
            counts.append(tx.cancel_chunks(job.job_key, 2, T0, "janitor"))
    assert counts == [2, 2, 1, 0]
    counters = yard.counters(job)
    assert (counters.chunks_cancelled, counters.chunks_done, counters.attempts_queued) == (5, 1, 0)
    assert [a.state for a in yard.case(job, held.chunk_id).attempts] == [AttemptState.ABORTED]


def test_a_rerun_counts_attempts_anew_and_the_same_worker_may_try_again(yard: Yard) -> None:
    job = yard.job(3, 3)
    failing, finished, _ = yard.lease(job)
    yard.report(job, finished)
    yard.apply(
        MoveAttempt(failing.attempt_id, AttemptEvent.FAIL, "", Answer(failure_class=FailureClass.WORKER, code="x")),
        MoveChunk(job.job_key, failing.chunk_id, ChunkEvent.FAIL, fault=ItemFault("x", "Broken.")),
    )
    with yard.store.transaction() as tx:
        tx.move_job(job.job_key, JobEvent.CANCEL, "", "x", T0)
        assert tx.cancel_chunks(job.job_key, 9, T0, "x") == 1
        tx.move_job(job.job_key, JobEvent.RERUN, "", "x", T0)
        assert tx.reopen_chunks(job.job_key, 9, T0, "x") == 2
        assert tx.reopen_chunks(job.job_key, 9, T0, "x") == 0
    case = yard.case(job, failing.chunk_id)
    assert (case.chunk.state, case.attempts, case.chunk.fault) == (ChunkState.PLANNED, [], None)
    assert yard.counters(job).items_failed == 0
    yard.open(job, 9)
    assert len(yard.lease(job)) == 2
    with yard.store.reading() as tx:
        assert len(tx.attempt_rows(job.job_key, failing.chunk_id)) == 2


def test_results_come_in_item_order_and_from_any_item(yard: Yard) -> None:
    job = yard.job(5, 5)
    for leased in reversed(yard.lease(job)):
        if leased.chunk_id != 2:
            yard.report(job, leased)
    yard.apply(
        MoveAttempt(yard.case(job, 2).attempts[0].attempt_id, AttemptEvent.EXPIRE),
        MoveChunk(job.job_key, ChunkId(2), ChunkEvent.FAIL, fault=ItemFault("x", "Gone.")),
    )
    with yard.store.reading() as tx:
        assert [r.chunk_id for r in tx.results(job.job_key, -1, 3)] == [0, 1, 2]
        assert [r.chunk_id for r in tx.results(job.job_key, 20, 9)] == [3, 4]
        assert [r.chunk_id for r in tx.results_from(job.job_key, 25, 2)] == [2, 3]
        assert [r.chunk_id for r in tx.results_from(job.job_key, 30, 9)] == [3, 4]
        assert tx.results_from(job.job_key, 50, 9) == []
        failed = tx.results(job.job_key, 19, 1)[0]
    assert (failed.fault, failed.artifact, failed.attempt_id) == (ItemFault("x", "Gone."), None, None)


def test_a_verifier_has_chunks_to_itself_until_its_claim_runs_out(yard: Yard) -> None:
    job = yard.job(3, 3)
    for leased in yard.lease(job):
        yard.apply(*done(job, leased)[:2])
    with yard.store.transaction() as tx:
        assert len(tx.claim_verifying("one", 2, T0, LEASE)) == 2
    with yard.store.transaction() as tx:
        [case] = tx.claim_verifying("two", 9, T0, LEASE)
        assert case.attempts[0].state is AttemptState.REPORTED
    with yard.store.transaction() as tx:
        assert len(tx.claim_verifying("three", 9, LEASE, LEASE)) == 3


def test_two_applies_in_one_transaction_see_each_other(yard: Yard) -> None:
    job = yard.job(1, 1)
    [leased] = yard.lease(job)
    moves = done(job, leased)
    with yard.store.transaction() as tx:
        for move in moves:
            tx.apply([move], T0, "x")
        assert tx.apply([], T0, "x").counters == {}
        assert tx.lease(JobKey(job.job_key), WorkerId("w"), 1, T0, LEASE, NEVER) == []
    assert yard.counters(job).chunks_done == 1


def test_what_a_failed_chunk_left_queued_is_never_leased_and_dropped_at_the_rerun(yard: Yard) -> None:
    job = yard.job(1, 1, quorum=2)
    yard.apply(MoveChunk(job.job_key, ChunkId(0), ChunkEvent.FAIL, fault=ItemFault("x", "Gone.")))
    assert yard.lease(job) == []
    with yard.store.transaction() as tx:
        assert tx.reopen_chunks(job.job_key, 9, T0, "x") == 1
    assert yard.counters(job).attempts_queued == 0
    yard.open(job, 1)
    assert len(yard.lease(job)) == 1

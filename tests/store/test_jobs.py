"""Jobs: born, listed, claimed, planned, moved, deleted."""

import pytest

from fallow.core.chunk import Extent, ItemFault
from fallow.core.lifecycle import IllegalMove, JobEvent
from fallow.core.refusals import Code, Refusal
from fallow.core.words import AttemptId, ChunkState, JobKey, JobState, Micros
from fallow.store.port import Packed, PlanCursor, PlannedChunk, Store
from tests.store.yard import LEASE, SECOND, T0, Yard, planned, spec


def test_a_job_comes_back_as_it_was_asked_for(yard: Yard) -> None:
    job = yard.job()
    with yard.store.reading() as tx:
        found = tx.job("job-1")
    assert found is not None
    assert found.spec == spec()
    assert (found.job_key, found.account_id, found.state) == (job.job_key, "acme", JobState.RUNNING)
    assert (found.created_at, found.started_at, found.finished_at) == (T0, T0, None)
    assert found.plan == PlanCursor(0, 0, True, "m")


def test_a_taken_job_id_is_refused_and_changes_nothing(yard: Yard) -> None:
    yard.job()
    with pytest.raises(Refusal) as refused, yard.store.transaction() as tx:
        tx.add_job(spec(), "acme", T0, "key k-1")
    assert refused.value.code is Code.JOB_ID_TAKEN


def test_a_spec_that_was_rolled_back_is_not_remembered(yard: Yard) -> None:
    def fail_after_adding() -> None:
        with yard.store.transaction() as tx:
            tx.add_job(spec("a", priority=5), "acme", T0, "x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_after_adding()
    assert yard.job(name="b").spec == spec("b")


def test_jobs_are_listed_newest_first_by_account_state_and_page(yard: Yard) -> None:
    keys = [yard.job(name=f"j{n}").job_key for n in range(4)]
    with yard.store.transaction() as tx:
        tx.add_account("other", "Other", T0)
        tx.move_job(keys[1], JobEvent.CANCEL, "", "x", T0)
    with yard.store.reading() as tx:
        assert [j.job_key for j in tx.jobs(account_id=None, before=None, limit=2)] == [keys[3], keys[2]]
        assert [j.job_key for j in tx.jobs(account_id="acme", before=keys[2], limit=9)] == [keys[1], keys[0]]
        assert tx.jobs(account_id="other", before=None, limit=9) == []
        only = tx.jobs(account_id=None, before=None, limit=9, states=[JobState.CANCELLED])
    assert [j.job_key for j in only] == [keys[1]]


def test_leasable_jobs_are_those_with_something_to_hand_out_most_urgent_first(yard: Yard) -> None:
    low = yard.job(3, 0, "low")
    yard.job(0, 0, "empty")
    high = yard.job(3, 1, "high", priority=7)
    paused = yard.job(3, 1, "paused", priority=9)
    with yard.store.transaction() as tx:
        tx.move_job(paused.job_key, JobEvent.PAUSE, "", "x", T0)
    with yard.store.reading() as tx:
        assert [j.job_key for j in tx.leasable_jobs(9)] == [high.job_key, low.job_key]
        assert [j.job_key for j in tx.leasable_jobs(1)] == [high.job_key]


def test_moves_of_a_job_set_its_moments_and_reason(yard: Yard) -> None:
    job = yard.job()
    with yard.store.transaction() as tx:
        assert tx.move_job(job.job_key, JobEvent.FAIL, "why", "x", Micros(T0 + 5), "It broke.") is JobState.FAILED
    failed = yard.row(job)
    assert (failed.finished_at, failed.reason) == (T0 + 5, "It broke.")
    with yard.store.transaction() as tx:
        tx.move_job(job.job_key, JobEvent.RERUN, "", "x", T0)
    again = yard.row(job)
    assert (again.state, again.started_at, again.finished_at, again.reason) == (JobState.RUNNING, T0, None, "")


def test_an_illegal_move_writes_nothing(yard: Yard) -> None:
    job = yard.job()

    def write_and_break_the_law() -> None:
        with yard.store.transaction() as tx:
            tx.set_output(job.job_key, "x")
            tx.move_job(job.job_key, JobEvent.COMPLETE, "", "x", T0)

    with pytest.raises(IllegalMove):
        write_and_break_the_law()
    assert (yard.row(job).state, yard.row(job).output) == (JobState.RUNNING, "")


def test_a_claim_keeps_others_out_until_it_runs_out(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_account("acme", "Acme", T0)
        job = tx.add_job(spec(), "acme", T0, "x")
    later = Micros(LEASE + 1)
    with store.transaction() as tx:
        assert tx.claim_job("plan", "one", T0, LEASE)
    with store.transaction() as tx:
        assert tx.claim_job("plan", "two", T0, LEASE) is None
        assert tx.claim_job("merge", "two", later, LEASE) is None
        assert tx.claim_job("plan", "one", T0, LEASE)
        assert not tx.renew_claim(job.job_key, "two", LEASE)
        assert tx.renew_claim(job.job_key, "one", LEASE)
    with store.transaction() as tx:
        assert tx.claim_job("plan", "two", later, Micros(later + SECOND))
        assert not tx.renew_claim(job.job_key, "one", LEASE)
        tx.release_claim(job.job_key, "one")
        assert tx.claim_job("plan", "one", later, LEASE) is None
        tx.release_claim(job.job_key, "two")
        assert tx.claim_job("plan", "one", later, LEASE)


def test_a_planner_far_ahead_can_wait(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        job = tx.add_job(spec(), "acme", T0, "x")
        assert tx.claim_job("plan", "p", T0, LEASE)
        assert tx.add_chunks(job.job_key, "p", planned(0, 50), PlanCursor(1, 500), T0)
    yard.jobs.append(job.job_key)
    with yard.store.transaction() as tx:
        assert tx.claim_job("plan", "p", T0, LEASE) is None


def test_what_a_job_needs_follows_its_state(yard: Yard) -> None:
    def claimable(what: str) -> bool:
        with yard.store.transaction() as tx:
            claimed = tx.claim_job(what, "x", T0, LEASE)
            if claimed:
                tx.release_claim(claimed.job_key, "x")
            return claimed is not None

    job = yard.job(1, 1)
    assert not claimable("finish")
    [leased] = yard.lease(job)
    yard.report(job, leased)
    assert claimable("finish")
    with yard.store.transaction() as tx:
        tx.move_job(job.job_key, JobEvent.MERGE, "", "x", T0)
    assert claimable("merge")
    assert not claimable("finish")
    other = yard.job(1, 0, "other")
    with yard.store.transaction() as tx:
        tx.move_job(other.job_key, JobEvent.CANCEL, "", "x", T0)
    assert claimable("sweep")


def test_chunks_are_added_only_by_the_claims_owner_and_only_while_the_job_lives(yard: Yard) -> None:
    job = yard.job(2)
    with yard.store.transaction() as tx:
        assert not tx.add_chunks(job.job_key, "nobody", planned(2, 1), PlanCursor(9), T0)
    with yard.store.transaction() as tx:
        tx.move_job(job.job_key, JobEvent.CANCEL, "", "x", T0)
        claimed = tx.claim_job("sweep", "p", T0, LEASE)
        assert claimed is not None
        assert not tx.add_chunks(job.job_key, "p", planned(2, 1), PlanCursor(9), T0)
    assert yard.counters(job).chunks_planned == 2


def test_planned_chunks_are_numbered_on_and_a_faulty_one_fails_at_once(yard: Yard) -> None:
    fault = ItemFault("too_long", "The line is \0 too long.")
    with yard.store.transaction() as tx:
        job = tx.add_job(spec(), "acme", T0, "x")
        assert tx.claim_job("plan", "p", T0, LEASE)
        assert tx.add_chunks(job.job_key, "p", planned(0, 2), PlanCursor(400, 20), T0)
        bad = PlannedChunk(20, 1, Extent(400, 50, 0, "ef" * 32), fault)
        assert tx.add_chunks(job.job_key, "p", [bad], PlanCursor(450, 21, True, "memory"), T0)
    yard.jobs.append(job.job_key)
    with yard.store.reading() as tx:
        rows = tx.chunk_rows(job.job_key, -1, 10)
        failed = tx.chunk_rows(job.job_key, -1, 10, [ChunkState.FAILED])
    assert [row.case.chunk.chunk_id for row in rows] == [0, 1, 2]
    assert [row.case.chunk.chunk_id for row in failed] == [2]
    assert rows[2].case.chunk.fault == ItemFault("too_long", "The line is \N{REPLACEMENT CHARACTER} too long.")
    assert rows[2].case.chunk.extent == Extent(400, 50, 0, "ef" * 32)
    assert (yard.counters(job).items_total, yard.counters(job).items_failed) == (21, 1)
    assert yard.row(job).plan == PlanCursor(450, 21, True, "memory")


def test_deleting_a_job_takes_bounded_steps_and_leaves_nothing(yard: Yard) -> None:
    job, kept = yard.job(5, 5), yard.job(2, 2, "kept")
    for leased in yard.lease(job):
        yard.report(job, leased)
    with yard.store.transaction() as tx:
        packs = [tx.add_pack(each.job_key, b"one\ntwo\n") for each in (job, kept)]
    with yard.store.reading() as tx:
        both = [Packed(pack, 4, 4) for pack in packs]
        assert tx.read_packed([*both, Packed(packs[0], 0, 3)]) == [b"two\n", b"two\n", b"one"]
        assert tx.read_packed([]) == []
    steps = 0
    finished = False
    while not finished:
        with yard.store.transaction() as tx:
            finished = tx.delete_job(job.job_key, 7)
        steps += 1
    assert steps > 5
    with yard.store.reading() as tx:
        assert tx.job("job-1") is None
        assert tx.chunk_rows(job.job_key, -1, 9) == []
        assert tx.attempts_of_job(job.job_key, AttemptId(0), 9) == []
        assert tx.story(job.job_key) == []
        assert tx.read_packed(both) == [None, b"two\n"]
        assert tx.job_by_key(JobKey(kept.job_key)) is not None

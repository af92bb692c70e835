"""Rows of BOINC's submit calls, on both databases."""

from fallow.core.words import ChunkState, Micros
from fallow.store.port import JobFileRow, Store
from tests.store.conftest import store, store_url, yard
from tests.store.yard import SECOND, T0, Yard

__all__ = ["store", "store_url", "yard"]  # fixtures of the store's tests

LATER = Micros(T0 + 60 * SECOND)


def test_a_batch_has_one_job_and_is_retired_once(yard: Yard) -> None:
    job = yard.job(chunks=1)
    with yard.store.transaction() as tx:
        one = tx.add_boinc_batch("acme", "app", "b", Micros(0), T0)
        two = tx.add_boinc_batch("acme", "app", "b", LATER, T0)
        assert tx.start_boinc_batch(one, job.job_key, 2)
        assert not tx.start_boinc_batch(one, job.job_key, 2)
    with yard.store.reading() as tx:
        found = tx.boinc_batch(one)
        assert found is not None
        assert (found.job_key, found.job_count, found.name) == (job.job_key, 2, "b")
        newest = tx.boinc_batch_named("acme", "b")
        assert newest is not None
        assert newest.batch_id == two
        assert [row.batch_id for row in tx.boinc_batches("acme", 0, 10)] == [one, two]
        assert [row.batch_id for row in tx.boinc_batches("acme", one, 10)] == [two]
        assert tx.expired_boinc_batches(Micros(LATER - 1), 10) == []
        assert [row.batch_id for row in tx.expired_boinc_batches(LATER, 10)] == [two]
        assert tx.boinc_batch_sums(job.job_key) == (0.0, 0.0)
    with yard.store.transaction() as tx:
        tx.set_boinc_batch_expiry(one, LATER)
        assert tx.retire_boinc_batch(two, '{"x":1}', T0)
        assert not tx.retire_boinc_batch(two, "{}", LATER)
        assert not tx.start_boinc_batch(two, job.job_key, 1)
    with yard.store.transaction() as tx:
        assert [row.batch_id for row in tx.boinc_batches("acme", 0, 10)] == [one]
        assert [row.batch_id for row in tx.expired_boinc_batches(LATER, 10)] == [one]
        assert tx.forget_boinc_batches(T0, 10) == 0
        assert tx.forget_boinc_batches(Micros(T0 + 1), 10) == 1
        assert tx.boinc_batch(two) is None


def test_jobs_stand_as_their_chunks_do(yard: Yard) -> None:
    job = yard.job(chunks=2)
    with yard.store.transaction() as tx:
        batch_id = tx.add_boinc_batch("acme", "app", "b", Micros(0), T0)
        tx.start_boinc_batch(batch_id, job.job_key, 3)
        tx.add_boinc_jobs("acme", batch_id, [("a", ["out"]), ("b", ["x", "y"]), ("c", [])])
        assert tx.taken_boinc_names("acme", ["b", "z", "a"]) in (["a", "b"], ["b", "a"])
        assert tx.taken_boinc_names("others", ["a"]) == []
    with yard.store.reading() as tx:
        rows = tx.boinc_jobs_standing(batch_id, -1, 10)
        assert [(row.job.name, row.state) for row in rows] == [
            ("a", ChunkState.PLANNED),
            ("b", ChunkState.PLANNED),
            ("c", None),
        ]
        assert rows[1].job.outputs == ("x", "y")
        assert [row.job.name for row in tx.boinc_jobs_standing(batch_id, 0, 1)] == ["b"]
        assert [row.job.name for row in tx.boinc_jobs_standing(batch_id, -1, 9, only=2)] == ["c"]
        assert (rows[0].canonical_id, rows[0].is_out, rows[0].exit_code) == (0, False, None)
        [named] = tx.boinc_jobs_named("b", "acme")
        assert tx.boinc_job(named.boinc_job_id) == named
        assert tx.boinc_jobs_named("b", "others") == []
        assert tx.boinc_jobs_named("b", limit=5) == [named]


def test_aborts_are_due_until_they_are_done(yard: Yard) -> None:
    job = yard.job(chunks=2)
    with yard.store.transaction() as tx:
        batch_id = tx.add_boinc_batch("acme", "app", "b", Micros(0), T0)
        tx.start_boinc_batch(batch_id, job.job_key, 2)
        tx.add_boinc_jobs("acme", batch_id, [("a", []), ("b", [])])
        ids = [row.job.boinc_job_id for row in tx.boinc_jobs_standing(batch_id, -1, 10)]
        assert tx.abort_boinc_job(ids[1], T0)
        assert not tx.abort_boinc_job(ids[1], LATER)
        assert tx.boinc_aborts_pending(batch_id) == 1
        [due] = tx.boinc_aborts_due(0, 10)
        assert (due.boinc_job_id, due.job_key, due.place) == (ids[1], job.job_key, 1)
        assert tx.boinc_aborts_due(ids[1], 10) == []
        tx.boinc_abort_done(ids[1])
        assert tx.boinc_aborts_due(0, 10) == []
        tx.set_boinc_job_finals([(ids[0], '{"a":1}'), (ids[1], '{"b":2}')])
        rows = tx.boinc_jobs_standing(batch_id, -1, 10)
        assert [row.job.final for row in rows] == ['{"a":1}', '{"b":2}']
        assert rows[1].job.aborted_at == T0


def test_staged_files_are_an_accounts_own(store: Store) -> None:
    one = JobFileRow("acme", "f", "blobs/1", "ab" * 32, 5, T0, LATER)
    with store.transaction() as tx:
        for account in ("acme", "others"):
            tx.add_account(account, account, T0)
        tx.save_boinc_job_file(one)
        tx.save_boinc_job_file(JobFileRow("acme", "g", "blobs/2", "cd" * 32, 6, T0, Micros(0)))
        assert tx.boinc_job_files("acme", ["f", "no"]) == [one]
        assert tx.boinc_job_files("others", ["f", "g"]) == []
        tx.keep_boinc_job_files("acme", ["f"], Micros(LATER - 5))
        assert tx.boinc_job_files("acme", ["f"]) == [one]
        tx.keep_boinc_job_files("acme", ["f", "g"], Micros(LATER + 5))
        assert {row.name: row.delete_at for row in tx.boinc_job_files("acme", ["f", "g"])} == {"f": LATER + 5, "g": 0}
        assert tx.forget_boinc_job_files(LATER) == 0
        assert tx.forget_boinc_job_files(Micros(LATER + 5)) == 1
        assert [row.name for row in tx.boinc_job_files("acme", ["f", "g"])] == ["g"]

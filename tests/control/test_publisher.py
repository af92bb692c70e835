"""The publisher: killed, overtaken, asked again."""

from typing import Any

import pytest

from fallow.control import jobs as control_jobs
from fallow.control.jobs import Jobs
from fallow.core.refusals import Code, Refusal
from fallow.store.port import JobRow, Store
from tests.control.batch_bench import ALICE, Bench, bad, good


class _Killed(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1, 2, 7])
def test_a_publisher_killed_half_way_is_followed_by_one_that_writes_the_same_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    batch = bench.batch(8)
    bench.planner.step()
    bench.answer(batch, lambda item: bad(item) if item % 2 else good(item))
    bench.merge()
    dying = bench.publisher("dying")
    append, written = dying._append, 0

    def killed(file: Any, line: bytes) -> None:
        nonlocal written
        if written == after:
            raise _Killed
        written += 1
        append(file, line)

    monkeypatch.setattr(dying, "_append", killed)
    with pytest.raises(_Killed):
        dying.step()
    assert bench.seen(batch).status == "finalizing"
    assert [head.key for head in bench.places.artifacts.list("files")] == [f"files/{batch.row.input_file_id}"]
    assert not bench.publisher("next").step(), "the claim is not over"
    bench.clock.advance(bench.settings.claim_seconds + 1)
    assert bench.publisher("next").step()
    seen = bench.seen(batch)
    assert [line["custom_id"] for line in bench.lines(seen.output_file_id)] == ["r-0", "r-2", "r-4", "r-6"]
    assert [line["custom_id"] for line in bench.lines(seen.error_file_id)] == ["r-1", "r-3", "r-5", "r-7"]
    assert len(list(bench.places.artifacts.list("files"))) == 3


def test_a_publisher_that_was_overtaken_changes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = bench.batch(4)
    bench.planner.step()
    bench.answer(batch, good)
    bench.merge()
    slow = bench.publisher("slow")
    append = slow._append
    overtaken = False

    def late(file: Any, line: bytes) -> None:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            bench.clock.advance(bench.settings.claim_seconds + 1)
            assert bench.publisher("quick").step()
        append(file, line)

    monkeypatch.setattr(slow, "_append", late)
    assert slow.step()
    seen = bench.seen(batch)
    assert seen.status == "completed"
    assert [line["custom_id"] for line in bench.lines(seen.output_file_id)] == ["r-0", "r-1", "r-2", "r-3"]


def test_a_file_that_appeared_without_its_row_is_written_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = bench.batch(4)
    bench.planner.step()
    bench.answer(batch, good)
    bench.merge()
    dying = bench.publisher("dying")

    def die(*_: object) -> None:
        raise _Killed

    monkeypatch.setattr(dying, "_note", die)
    with pytest.raises(_Killed):
        dying.step()
    before = {head.key for head in bench.places.artifacts.list("files")}
    bench.clock.advance(bench.settings.claim_seconds + 1)
    assert bench.publisher("next").step()
    assert {head.key for head in bench.places.artifacts.list("files")} == before
    assert len(bench.lines(bench.seen(batch).output_file_id)) == 4


def test_run_again_it_is_published_again(bench: Bench) -> None:
    batch = bench.batch(4)
    bench.planner.step()
    bench.answer(batch, good, chunks=1)
    bench.door.batches.cancel(ALICE, batch.job.job_id)
    bench.publisher().step()
    first = bench.seen(batch)
    Jobs(bench.store, bench.places).rerun(ALICE, batch.job.job_id)
    seen = bench.seen(batch)
    assert (seen.status, seen.output_file_id, seen.cancelling_at) == ("in_progress", None, None)
    bench.clock.advance(1)
    bench.answer(batch, good)
    bench.merge()
    bench.publisher().step()
    again = bench.seen(batch)
    assert (again.status, len(bench.lines(again.output_file_id)), again.error_file_id) == ("completed", 4, None)
    assert again.output_file_id != first.output_file_id
    assert len(bench.lines(first.output_file_id)) == 2, "what was published stays as it was"


def test_run_again_while_it_is_being_published_it_is_published_when_it_is_over(
    any_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = any_bench
    batch = bench.batch(4)
    bench.planner.step()
    bench.answer(batch, good, chunks=1)
    bench.door.batches.cancel(ALICE, batch.job.job_id)
    slow = bench.publisher("slow")
    note = slow._note

    def late(*given: Any) -> None:
        Jobs(bench.store, bench.places).rerun(ALICE, batch.job.job_id)
        note(*given)

    monkeypatch.setattr(slow, "_note", late)
    assert slow.step()
    seen = bench.seen(batch)
    assert (seen.status, seen.output_file_id, seen.error_file_id) == ("in_progress", None, None)
    bench.clock.advance(1)
    bench.answer(batch, good)
    bench.merge()
    assert bench.publisher("next").step()
    again = bench.seen(batch)
    assert (again.status, len(bench.lines(again.output_file_id)), again.error_file_id) == ("completed", 4, None)


def test_the_job_of_a_batch_stays_until_its_files_are_written(bench: Bench) -> None:
    batch = bench.batch()
    bench.door.batches.cancel(ALICE, batch.job.job_id)
    jobs = Jobs(bench.store, bench.places)
    with pytest.raises(Refusal) as caught:
        jobs.delete(ALICE, batch.job.job_id)
    assert caught.value.code is Code.STATE_CONFLICT
    bench.publisher().step()
    jobs.delete(ALICE, batch.job.job_id)
    with pytest.raises(Refusal, match="No such Batch"):
        bench.seen(batch)


def test_a_job_that_is_run_again_before_it_is_erased_stays_whole(
    any_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = any_bench
    batch = bench.batch(4)
    bench.planner.step()
    bench.answer(batch, good, chunks=1)
    bench.door.batches.cancel(ALICE, batch.job.job_id)
    bench.publisher().step()
    jobs = Jobs(bench.store, bench.places)
    looked = control_jobs.is_unpublished

    def then_run_again(store: Store, job: JobRow) -> bool:
        found = looked(store, job)
        jobs.rerun(ALICE, job.job_id)
        return found

    monkeypatch.setattr(control_jobs, "is_unpublished", then_run_again)
    with pytest.raises(Refusal) as caught:
        jobs.delete(ALICE, batch.job.job_id)
    assert caught.value.code is Code.STATE_CONFLICT
    bench.answer(batch, good)
    bench.merge()
    bench.publisher().step()
    assert len(bench.lines(bench.seen(batch).output_file_id)) == 4


def test_a_job_that_is_being_erased_cannot_be_run_again(any_bench: Bench) -> None:
    bench = any_bench
    batch = bench.batch(4)
    bench.door.batches.cancel(ALICE, batch.job.job_id)
    with bench.store.transaction() as tx:
        tx.retire_job(batch.job.job_key)
    with pytest.raises(Refusal) as caught:
        Jobs(bench.store, bench.places).rerun(ALICE, batch.job.job_id)
    assert caught.value.code is Code.STATE_CONFLICT

"""Batches step by step: what is true between two roles."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fallow.core.lifecycle import JobEvent
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import JobState
from fallow.store.port import GrantRow, SubmitRight
from tests.control.batch_bench import ALICE, BOB, ENDPOINT, OPERATOR, Bench, bad, good


def test_the_whole_way_with_each_status_on_it(any_bench: Bench) -> None:
    bench = any_bench
    batch = bench.batch(6)
    assert bench.seen(batch).status == "validating"
    assert bench.planner.step()
    assert bench.seen(batch).status == "in_progress"
    assert bench.seen(batch).request_counts.total == 6
    bench.clock.advance(5)
    assert bench.answer(batch, lambda item: bad(item) if item == 3 else good(item)) == 3
    while bench.transitioner.step():
        pass
    assert bench.seen(batch).status == "finalizing"
    bench.assimilator.step()
    found = bench.seen(batch)
    assert (found.status, found.output_file_id, found.x_fallow_state) == ("finalizing", None, "completed")
    bench.clock.advance(5)
    assert bench.publisher().step()
    assert not bench.publisher().step()
    found = bench.seen(batch)
    assert found.status == "completed"
    assert found.finalizing_at is not None
    assert found.completed_at == found.finalizing_at + 5
    assert (found.request_counts.completed, found.request_counts.failed) == (5, 1)
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.total_tokens) == (5, 5)
    output, errors = bench.lines(found.output_file_id), bench.lines(found.error_file_id)
    assert [line["custom_id"] for line in output] == ["r-0", "r-1", "r-2", "r-4", "r-5"]
    assert [line["response"]["body"]["n"] for line in output] == [0, 1, 2, 4, 5]
    assert [(line["custom_id"], line["response"]["status_code"]) for line in errors] == [("r-3", 400)]
    assert bench.door.files.file(ALICE, found.output_file_id or "").purpose == "batch_output"


def test_cancelled_while_it_is_validated(bench: Bench) -> None:
    batch = bench.batch()
    assert batch.job.state is JobState.PLANNING
    found = bench.door.batches.cancel(ALICE, batch.job.job_id)
    assert found.job.state is JobState.CANCELLED
    assert bench.seen(batch).status == "cancelling"
    assert not bench.planner.step()
    assert bench.publisher().step()
    seen = bench.seen(batch)
    assert (seen.status, seen.output_file_id, seen.error_file_id) == ("cancelled", None, None)
    assert bench.door.batches.cancel(ALICE, batch.job.job_id).job.state is JobState.CANCELLED


def test_cancelled_while_it_is_merged(bench: Bench) -> None:
    batch = bench.batch()
    bench.planner.step()
    bench.answer(batch, good)
    while bench.transitioner.step():
        pass
    assert bench.seen(batch).status == "finalizing"
    bench.door.batches.cancel(ALICE, batch.job.job_id)
    assert bench.seen(batch).status == "cancelling"
    bench.publisher().step()
    seen = bench.seen(batch)
    assert (seen.status, len(bench.lines(seen.output_file_id)), seen.error_file_id) == ("cancelled", 6, None)


def test_cancelled_half_way_each_request_is_in_one_of_the_files(any_bench: Bench) -> None:
    bench = any_bench
    batch = bench.batch(10)
    bench.planner.step()
    assert bench.answer(batch, good, chunks=2) == 2
    bench.door.batches.cancel(ALICE, batch.job.job_id)
    bench.publisher().step()
    seen = bench.seen(batch)
    done = [line["custom_id"] for line in bench.lines(seen.output_file_id)]
    left = bench.lines(seen.error_file_id)
    assert done == [f"r-{n}" for n in range(4)]
    assert [line["custom_id"] for line in left] == [f"r-{n}" for n in range(4, 10)]
    assert {line["error"]["code"] for line in left} == {"batch_cancelled"}
    assert {line["response"] for line in left} == {None}
    assert (seen.request_counts.completed, seen.request_counts.failed) == (4, 0)


@pytest.mark.parametrize("state", ["completed", "failed", "expired"])
def test_what_is_over_cannot_be_cancelled(bench: Bench, state: str) -> None:
    batch = bench.batch() if state != "failed" else bench.create(bench.file(b"x\n").file_id)
    bench.planner.step()
    if state == "completed":
        bench.answer(batch, good)
        bench.merge()
    elif state == "expired":
        bench.clock.advance(86400)
        bench.transitioner.expire_jobs()
    with pytest.raises(Refusal) as caught:
        bench.door.batches.cancel(ALICE, batch.job.job_id)
    assert caught.value.code is Code.STATE_CONFLICT


@pytest.mark.parametrize("end", [JobEvent.CANCEL, JobEvent.FAIL])
def test_a_batch_that_ends_while_it_is_being_cancelled(any_bench: Bench, end: JobEvent) -> None:
    bench, batches = any_bench, any_bench.door.batches
    batch = bench.batch()
    found = batches.batch(ALICE, batch.job.job_id)
    with bench.store.transaction() as tx:
        tx.move_job(batch.job.job_key, end, "meanwhile", "test", bench.clock.now(), reason="meanwhile")
    looks = iter([found])
    look = batches.batch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "batch", lambda who, batch_id: next(looks, None) or look(who, batch_id))
        if end is JobEvent.CANCEL:
            assert batches.cancel(ALICE, batch.job.job_id).job.state is JobState.CANCELLED
        else:
            with pytest.raises(Refusal) as caught:
                batches.cancel(ALICE, batch.job.job_id)
            assert caught.value.code is Code.STATE_CONFLICT


def test_expired_with_what_was_done(bench: Bench) -> None:
    batch = bench.batch(6, window="1m", window_seconds=60)
    bench.planner.step()
    bench.answer(batch, good, chunks=1)
    bench.clock.advance(61)
    bench.transitioner.expire_jobs()
    assert bench.seen(batch).status == "finalizing"
    assert not bench.publisher().step(), "what runs of it is stopped first"
    bench.sweep_chunks()
    bench.publisher().step()
    seen = bench.seen(batch)
    assert seen.status == "expired"
    assert seen.expired_at is not None
    assert len(bench.lines(seen.output_file_id)) == 2
    assert {line["error"]["code"] for line in bench.lines(seen.error_file_id)} == {"batch_expired"}


def test_a_bad_file_fails_in_one_transaction_and_nothing_runs(any_bench: Bench) -> None:
    bench = any_bench
    batch = bench.create(bench.file(bench.requests(2) + b"{\n").file_id)
    assert bench.planner.step()
    seen = bench.seen(batch)
    assert seen.status == "failed", "there are no files to wait for"
    assert seen.errors is not None
    assert [(each.line, each.code) for each in seen.errors.data] == [(3, "invalid_json_line")]
    assert bench.places.artifacts.head(f"jobs/{batch.job.job_id}/items.jsonl") is None
    assert bench.publisher().step()
    assert bench.seen(batch).output_file_id is bench.seen(batch).error_file_id is None


def test_a_model_that_comes_too_late_cannot_help_a_batch_that_is_there(bench: Bench) -> None:
    batch = bench.create(bench.file(bench.requests(2, "late")).file_id)
    bench.add_model("late")
    bench.planner.step()
    seen = bench.seen(batch)
    assert seen.status == "failed"
    assert seen.errors is not None
    assert [(each.line, each.code) for each in seen.errors.data] == [(1, "model_not_found")]


def test_a_model_that_is_removed_keeps_the_batches_it_has(bench: Bench) -> None:
    batch = bench.batch()
    bench.door.models.remove(OPERATOR, "tiny")
    bench.planner.step()
    assert bench.seen(batch).status == "in_progress"
    with pytest.raises(Refusal, match="No model here serves"):
        bench.batch()


def test_a_failure_at_run_time_is_told_and_each_request_accounted_for(bench: Bench) -> None:
    batch = bench.batch(4)
    bench.planner.step()
    bench.answer(batch, good, chunks=1)
    bench.fail(batch, "nobody could run it")
    assert bench.seen(batch).status == "finalizing"
    bench.sweep_chunks()
    bench.publisher().step()
    seen = bench.seen(batch)
    assert seen.status == "failed"
    assert seen.errors is not None
    assert [(each.code, each.message) for each in seen.errors.data] == [("batch_failed", "nobody could run it")]
    assert len(bench.lines(seen.output_file_id)) == 2
    assert [line["error"]["code"] for line in bench.lines(seen.error_file_id)] == ["batch_failed"] * 2


def test_the_same_request_again_is_the_same_batch_for_ten_minutes(bench: Bench) -> None:
    file = bench.file(bench.requests(2))
    first = bench.create(file.file_id)
    assert bench.create(file.file_id, repeated=True).job.job_id == first.job.job_id
    assert bench.create(file.file_id).job.job_id != first.job.job_id, "asked for twice on purpose"
    newest = bench.create(file.file_id, sha256="1" * 64, repeated=True)
    assert newest.job.job_id != first.job.job_id
    other = bench.file(bench.requests(2), BOB)
    assert bench.create(other.file_id, BOB, repeated=True).row.account_id == "bob"
    bench.clock.advance(601)
    late = bench.create(file.file_id, sha256="1" * 64, repeated=True)
    assert late.job.job_id != newest.job.job_id


@pytest.mark.parametrize("overtaken", [True, False])
def test_two_tries_of_one_request_at_once_make_one_batch(
    any_bench: Bench, monkeypatch: pytest.MonkeyPatch, overtaken: bool
) -> None:
    """The client gave up on the first, which is still on its way; overtaken: the second is written down before it."""
    bench = any_bench
    file = bench.file(bench.requests(2))
    spec = bench.door.batches._spec
    made = []

    def meanwhile(*given: Any) -> Any:
        found = spec(*given)
        if not made:
            made.append(None)
            made[0] = bench.create(file.file_id, repeated=overtaken)
        return found

    monkeypatch.setattr(bench.door.batches, "_spec", meanwhile)
    slow = bench.create(file.file_id, repeated=not overtaken)
    assert slow.job.job_id == made[0].job.job_id
    assert len(bench.door.batches.listed(ALICE, None, 9)[0]) == 1
    bench.clock.advance(1)
    assert bench.create(file.file_id).job.job_id != slow.job.job_id, "asked for once more on purpose"


def test_other_peoples_files_and_batches_are_not_there(bench: Bench) -> None:
    batch = bench.batch()
    calls = [
        lambda: bench.door.batches.batch(BOB, batch.job.job_id),
        lambda: bench.door.batches.cancel(BOB, batch.job.job_id),
        lambda: bench.door.batches.listed(BOB, batch.job.job_id, 10),
        lambda: bench.door.files.file(BOB, batch.row.input_file_id),
        lambda: bench.door.files.content(BOB, batch.row.input_file_id),
        lambda: bench.door.files.delete(BOB, batch.row.input_file_id),
        lambda: bench.create(batch.row.input_file_id, BOB),
        lambda: bench.door.files.listed(BOB, after=batch.row.input_file_id, newest_first=True, limit=5, purpose=""),
    ]
    for call in calls:
        with pytest.raises(Refusal) as caught:
            call()
        assert caught.value.code is Code.NOT_FOUND
    assert bench.door.batches.listed(BOB, None, 10) == ([], False)
    assert bench.door.batches.batch(OPERATOR, batch.job.job_id).row == batch.row


def test_so_many_batches_of_an_account_and_no_more(tmp_path: Path) -> None:
    bench = Bench(tmp_path, batches_open_max=2)
    first = bench.batch()
    bench.batch()
    with pytest.raises(Refusal) as caught:
        bench.batch()
    assert (caught.value.code, caught.value.details["retry_seconds"]) == (Code.TOO_MANY, 60)
    bench.door.batches.cancel(ALICE, first.job.job_id)
    bench.publisher().step()
    bench.batch()
    bench.close()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"command": ["rm"]}, "command"),
        ({"container_image": "x"}, "container_image"),
        ({"env": {"A": "b"}}, "env"),
        ({"limits": {"pids": 1}}, "limits"),
        ({"input_uri": "file:///etc/passwd"}, "input_uri"),
        ({"priority": 10_000}, "priority"),
        ({"nonsense": 1}, "nonsense"),
        ({"expires_seconds": 0}, "expires_seconds"),
    ],
)
def test_what_a_model_is_cannot_be_changed_by_a_batch(bench: Bench, options: dict[str, Any], field: str) -> None:
    with pytest.raises(Refusal) as caught:
        bench.batch(options=options)
    assert (caught.value.code, caught.value.details["field"]) == (Code.BAD_REQUEST, field)


def test_what_a_batch_may_say_beside_its_model(bench: Bench) -> None:
    options = {"priority": 5, "chunk_items": 1, "retry": {"max_errors": 1}, "verify": "quorum:2", "expires_seconds": 9}
    spec = bench.batch(options=options).job.spec
    assert (spec.priority, spec.chunking.items, spec.retry.max_errors, spec.quorum) == (5, 1, 1, 2)
    assert (spec.expires_seconds, spec.model, spec.command) == (9, "tiny", ("true",))
    assert spec.retry.error_threshold == 1.0


def test_a_batch_may_bring_its_own_command(bench: Bench) -> None:
    file = bench.file(bench.requests(1).replace(ENDPOINT.encode(), b"/v1/x/container"))
    made = bench.create(file.file_id, endpoint="/v1/x/container", options={"command": ["cat"], "engine": "process"})
    assert (made.row.model, made.job.spec.command) == ("", ("cat",))
    assert made.job.spec.model == ""
    bench.planner.step()
    assert bench.seen(made).status == "in_progress"
    with pytest.raises(Refusal, match="neither an image nor a command"):
        bench.create(file.file_id, endpoint="/v1/x/container")


def test_who_may_submit_for_a_model_may_not_bring_a_container(bench: Bench) -> None:
    file = bench.file(bench.requests(2))
    bench.add_model("other", "/v1/x/other")
    with bench.store.transaction() as tx:
        account = tx.account("alice")
        assert account is not None
        tx.save_account(replace(account, submit_right=SubmitRight.GRANTED))
        tx.add_grant(GrantRow("alice", "tiny", "test", bench.clock.now()))
    assert bench.create(file.file_id).job.spec.model == "tiny"
    for endpoint, options in (("/v1/x/container", {"command": ["cat"], "engine": "process"}), ("/v1/x/other", {})):
        data = bench.requests(1, "other").replace(ENDPOINT.encode(), endpoint.encode())
        with pytest.raises(Refusal) as caught:
            bench.create(bench.file(data).file_id, endpoint=endpoint, options=options)
        assert caught.value.code is Code.FORBIDDEN
    for image in ("tiny:latest", "oci:/srv/of-anybody/tiny"):
        with pytest.raises(Refusal) as caught:
            bench.door.intake.check(ALICE, Submission(input_uri="fallow:blobs/x", image=image))
        assert caught.value.code is Code.FORBIDDEN, image

"""Models, files, batches and uploads, on both databases."""

from dataclasses import replace

import pytest

from fallow.core.lifecycle import IllegalMove, JobEvent, UploadEvent
from fallow.core.words import JobKey, Micros, UploadState
from fallow.store.port import BatchRow, FileRow, JobRow, ModelRow, Store, UploadPartRow, UploadRow
from tests.store.yard import SECOND, T0, Yard

LATER = Micros(T0 + 60 * SECOND)
MODEL = ModelRow("tiny/chat", "acme", '{"job":{}}', ("/v1/chat/completions", "/v1/embeddings"), T0)


def file(number: int, account: str = "acme", expires_at: Micros | None = None) -> FileRow:
    return FileRow(
        file_id=f"file-{number}",
        account_id=account,
        purpose="batch" if number % 2 else "user_data",
        filename=f"in-{number}.jsonl",
        size_bytes=number,
        sha256="ab" * 32,
        artifact_key=f"files/file-{number}",
        created_at=T0,
        expires_at=expires_at,
    )


def batch(job: JobRow, **said: str) -> BatchRow:
    return BatchRow(
        job_key=job.job_key,
        account_id="acme",
        endpoint="/v1/embeddings",
        model="tiny",
        input_file_id=said.get("input_file_id", "file-1"),
        completion_window="24h",
        metadata="{}",
        request_sha256=said.get("request_sha256", "cd" * 32),
        output_expires_seconds=None,
        created_at=T0,
    )


def finish(store: Store, job: JobRow) -> None:
    with store.transaction() as tx:
        tx.move_job(job.job_key, JobEvent.FAIL, "", "test", LATER)


def test_models_are_kept_replaced_switched_off_and_back(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        tx.save_model(MODEL)
        tx.save_model(replace(MODEL, name="a"))
        assert tx.model("tiny/chat") == MODEL
        assert [each.name for each in tx.models()] == ["a", "tiny/chat"]
        assert tx.disable_model("a", LATER)
        assert not tx.disable_model("a", LATER)
        assert tx.models() == [MODEL]
        assert tx.model("a") == replace(MODEL, name="a", disabled_at=LATER)
        tx.save_model(replace(MODEL, name="a", template="{}"))
        assert [each.template for each in tx.models()] == ["{}", MODEL.template]
        assert tx.model("b") is None


def test_files_are_listed_both_ways_from_a_place_on(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        tx.add_account("other", "Other", T0)
        kept = [tx.add_file(file(number)) for number in range(1, 6)]
        tx.add_file(file(9, account="other"))
        again = tx.add_file(replace(file(1), filename="another"))
    assert again == kept[0]
    keys = [each.file_key for each in kept]
    assert keys == sorted(keys)
    with yard.store.reading() as tx:

        def listed(after: int | None = None, newest: bool = True, limit: int = 9, purpose: str = "") -> list[str]:
            rows = tx.files("acme", after=after, newest_first=newest, limit=limit, purpose=purpose, now=T0)
            return [row.file_id for row in rows]

        assert listed() == ["file-5", "file-4", "file-3", "file-2", "file-1"]
        assert listed(limit=2) == ["file-5", "file-4"]
        assert listed(keys[3]) == ["file-3", "file-2", "file-1"]
        assert listed(keys[0]) == []
        assert listed(newest=False, limit=2) == ["file-1", "file-2"]
        assert listed(keys[1], newest=False) == ["file-3", "file-4", "file-5"]
        assert listed(purpose="user_data") == ["file-4", "file-2"]


def test_a_file_past_its_time_or_deleted_is_gone_for_people_and_then_for_good(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        tx.add_file(file(1, expires_at=LATER))
        tx.add_file(file(2))
        assert tx.expire_files(T0, 10) == 0
        assert tx.expire_files(LATER, 10) == 1
        assert tx.delete_file("file-2", LATER)
        assert not tx.delete_file("file-2", LATER)
        assert tx.files("acme", after=None, newest_first=True, limit=9, purpose="", now=T0) == []
        assert {each.file_id for each in tx.unread_files(10)} == {"file-1", "file-2"}
        tx.remove_file("file-1")
        assert tx.file("file-1") is None
        assert [each.file_id for each in tx.unread_files(10)] == ["file-2"]
        tx.add_file(file(3))
        tx.remove_file("file-3")
        assert tx.file("file-3") is not None, "only deleted ones are removed"


def test_a_deleted_input_keeps_its_bytes_until_its_batch_has_read_it(yard: Yard) -> None:
    job = yard.job()
    with yard.store.transaction() as tx:
        tx.add_file(file(1))
        tx.add_batch(batch(job))
        tx.delete_file("file-1", LATER)
        assert tx.unread_files(10) == []
        tx.batch_in_progress(job.job_key, LATER)
        assert [each.file_id for each in tx.unread_files(10)] == ["file-1"]


def test_a_batch_goes_through_its_moments_once(yard: Yard) -> None:
    job = yard.job()
    with yard.store.transaction() as tx:
        tx.add_batch(batch(job))
        assert tx.batch(job.job_key) == batch(job)
        for verb in (tx.batch_in_progress, tx.batch_finalizing, tx.batch_cancelling):
            verb(job.job_key, T0)
            verb(job.job_key, LATER)
            verb(JobKey(99), T0)
        tx.set_batch_errors(job.job_key, "[1]")
        found = tx.batch(job.job_key)
        assert found is not None
        assert (found.in_progress_at, found.finalizing_at, found.cancelling_at, found.errors) == (T0, T0, T0, "[1]")
        assert tx.batch(JobKey(99)) is None


def test_batches_are_listed_newest_first_and_repeats_are_found(yard: Yard) -> None:
    jobs = [yard.job(name=f"batch_{number}") for number in range(3)]
    with yard.store.transaction() as tx:
        for each in jobs:
            tx.add_batch(batch(each, request_sha256="ef" * 32 if each is jobs[1] else "cd" * 32))
        newest_first = [each.job_key for each in reversed(jobs)]
        assert [each.job_key for each in tx.batches("acme", before=None, limit=9)] == newest_first
        assert [each.job_key for each in tx.batches("acme", before=newest_first[0], limit=1)] == newest_first[1:2]
        assert tx.batches("other", before=None, limit=9) == []
        found = tx.repeated_batch("acme", "cd" * 32, T0)
        assert found is not None
        assert found.job_key == newest_first[0]
        assert tx.repeated_batch("acme", "cd" * 32, LATER) is None
        assert tx.repeated_batch("other", "cd" * 32, T0) is None
        assert (tx.open_batches("acme", 2), tx.open_batches("acme", 9), tx.open_batches("other", 9)) == (2, 3, 0)


def test_one_publisher_at_a_time_takes_a_batch_whose_job_is_over(yard: Yard) -> None:
    job, store = yard.job(), yard.store
    until = Micros(LATER + SECOND)
    with store.transaction() as tx:
        tx.add_batch(batch(job))
        assert tx.claim_batch("a", LATER, until) is None, "its job runs"
    finish(store, job)
    with store.transaction() as tx:
        taken = tx.claim_batch("a", LATER, until)
        assert taken is not None
        assert taken.job_key == job.job_key
        assert tx.claim_batch("b", LATER, until) is None
        assert tx.renew_batch(job.job_key, "a", until)
        assert not tx.renew_batch(job.job_key, "b", until)
    with store.transaction() as tx:
        assert tx.claim_batch("b", until, Micros(until + SECOND)) is not None, "the first one's claim ran out"
        said = {"output_file_id": "file-o", "error_file_id": None, "usage": "{}", "now": until}
        assert not tx.publish_batch(job.job_key, "a", **said)
        assert tx.publish_batch(job.job_key, "b", **said)
        assert not tx.publish_batch(job.job_key, "b", **said)
        found = tx.batch(job.job_key)
        assert found is not None
        assert (found.published_at, found.output_file_id, found.error_file_id) == (until, "file-o", None)
        assert tx.claim_batch("a", Micros(until * 2), until) is None
        assert tx.open_batches("acme", 9) == 0
        tx.reopen_batch(job.job_key)
        assert tx.open_batches("acme", 9) == 1
        assert tx.claim_batch("a", Micros(until * 2), until) is not None


def test_a_batch_whose_job_still_has_chunks_to_sweep_waits(yard: Yard) -> None:
    job = yard.job(chunks=2, opened=1)
    with yard.store.transaction() as tx:
        tx.add_batch(batch(job))
    finish(yard.store, job)
    with yard.store.transaction() as tx:
        assert tx.claim_batch("a", LATER, LATER) is None
        tx.cancel_chunks(job.job_key, 10, LATER, "test")
    with yard.store.transaction() as tx:
        assert tx.claim_batch("a", LATER, LATER) is not None


def test_a_batch_goes_with_its_job(yard: Yard) -> None:
    job = yard.job()
    with yard.store.transaction() as tx:
        tx.add_batch(batch(job))
    finish(yard.store, job)
    with yard.store.transaction() as tx:
        tx.retire_job(job.job_key)
        assert tx.claim_batch("a", LATER, LATER) is None, "what is being erased is not published"
        assert tx.delete_job(job.job_key, 1000)
        assert tx.batch(job.job_key) is None


def test_uploads_take_parts_while_they_are_pending_and_move_once(yard: Yard) -> None:
    row = UploadRow("upload_1", "acme", UploadState.PENDING, "big.jsonl", "batch", "text/plain", 10, T0, LATER)
    part = UploadPartRow("part_1", "upload_1", "parts/upload_1/part_1", 4, T0)
    with yard.store.transaction() as tx:
        tx.add_upload(row)
        assert tx.upload("upload_1") == row
        assert tx.upload("upload_2") is None
        assert tx.add_upload_part(part)
        assert tx.add_upload_part(replace(part, part_id="part_2", created_at=LATER))
        assert [each.part_id for each in tx.upload_parts("upload_1")] == ["part_1", "part_2"]
        assert tx.late_uploads(T0, 9) == []
        assert [each.upload_id for each in tx.late_uploads(LATER, 9)] == ["upload_1"]
        assert tx.move_upload("upload_1", UploadEvent.COMPLETE, "file-1") is UploadState.COMPLETED
        assert not tx.add_upload_part(replace(part, part_id="part_3"))
        tx.remove_upload_parts("upload_1")
        assert tx.upload_parts("upload_1") == []
        assert tx.upload("upload_1") == replace(row, state=UploadState.COMPLETED, file_id="file-1")
        assert tx.late_uploads(LATER, 9) == []
    for upload_id in ("upload_1", "upload_2"):
        with pytest.raises(IllegalMove), yard.store.transaction() as tx:
            tx.move_upload(upload_id, UploadEvent.CANCEL)

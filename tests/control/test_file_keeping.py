"""Files and uploads: how long their bytes are kept, and what of those that were never finished."""

from typing import Any

import pytest

from fallow.control.files import Naming
from fallow.core.refusals import Code, Refusal
from tests.control.batch_bench import ALICE, BOB, Bench, good


class _Killed(Exception):
    pass


def test_a_deleted_input_is_read_to_its_end_and_then_swept(bench: Bench) -> None:
    batch = bench.batch()
    key = f"files/{batch.row.input_file_id}"
    bench.door.files.delete(ALICE, batch.row.input_file_id)
    bench.door.files.sweep(10)
    assert bench.places.artifacts.head(key) is not None, "the planner has yet to read it"
    bench.planner.step()
    assert bench.seen(batch).status == "in_progress"
    assert bench.door.files.sweep(10)
    assert bench.places.artifacts.head(key) is None
    assert not bench.door.files.sweep(10)


def test_an_output_file_goes_when_its_time_is_over(bench: Bench) -> None:
    batch = bench.batch(2, output_expires_seconds=3600)
    bench.planner.step()
    bench.answer(batch, good)
    bench.merge()
    bench.publisher().step()
    file_id = bench.seen(batch).output_file_id or ""
    assert bench.lines(file_id)
    bench.clock.advance(3601)
    with pytest.raises(Refusal, match="No such File"):
        bench.lines(file_id)
    assert bench.door.files.sweep(10)
    assert bench.places.artifacts.head(f"files/{file_id}") is None


def test_uploads_end_by_themselves_after_an_hour(bench: Bench) -> None:
    uploads = bench.door.uploads
    made = uploads.create(ALICE, Naming("big", "batch"), 10, "text/plain")
    with uploads.incoming_part(ALICE, made.row.upload_id) as part:
        part.write(b"12345")
    assert list(bench.places.artifacts.list("parts"))
    bench.clock.advance(3600)
    with pytest.raises(Refusal) as caught:
        uploads.complete(ALICE, made.row.upload_id, [], None)
    assert caught.value.code is Code.STATE_CONFLICT
    assert uploads.expire(10)
    assert uploads.upload(ALICE, made.row.upload_id).row.state == "expired"
    assert not list(bench.places.artifacts.list("parts"))
    assert not uploads.expire(10)


def test_parts_beyond_what_was_announced_are_refused(bench: Bench) -> None:
    uploads = bench.door.uploads
    made = uploads.create(ALICE, Naming("big", "batch"), 10, "text/plain")

    def send(data: bytes) -> str:
        with uploads.incoming_part(ALICE, made.row.upload_id) as part:
            part.write(data)
        assert part.row is not None
        return part.row.part_id

    with pytest.raises(Refusal, match="more bytes"):
        send(b"x" * 11)
    ids = [send(b"12345"), send(b"67890"), send(b"67890")]
    for wrong in ([ids[0]], [ids[0], ids[0]], [*ids], [ids[0], "part_none"]):
        with pytest.raises(Refusal) as caught:
            uploads.complete(ALICE, made.row.upload_id, wrong, None)
        assert caught.value.code is Code.BAD_REQUEST
    with pytest.raises(Refusal, match="more bytes"):
        send(b"x" * 6)
    with pytest.raises(Refusal, match="No such Upload"):
        uploads.complete(BOB, made.row.upload_id, ids[:2], None)
    done = uploads.complete(ALICE, made.row.upload_id, ids[:2], None)
    assert done.file is not None
    assert b"".join(bench.places.artifacts.get(done.file.artifact_key)) == b"1234567890"
    assert not list(bench.places.artifacts.list("parts"))
    with pytest.raises(Refusal) as caught:
        uploads.cancel(ALICE, made.row.upload_id)
    assert caught.value.code is Code.STATE_CONFLICT


def test_of_two_who_complete_an_upload_one_makes_the_file(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = bench.door.uploads
    upload_id = uploads.create(ALICE, Naming("big", "batch"), 5, "text/plain").row.upload_id
    with uploads.incoming_part(ALICE, upload_id) as part:
        part.write(b"12345")
    assert part.row is not None
    ids, kept, others = [part.row.part_id], bench.door.files.kept, []

    def overtaken(*given: Any) -> Any:
        if not others:
            others.append(None)
            others[0] = uploads.complete(ALICE, upload_id, ids, None)
        return kept(*given)

    monkeypatch.setattr(bench.door.files, "kept", overtaken)
    with pytest.raises(Refusal) as caught:
        uploads.complete(ALICE, upload_id, ids, None)
    assert caught.value.code is Code.STATE_CONFLICT
    assert others[0].file is not None
    assert [head.key for head in bench.places.artifacts.list("files")] == [others[0].file.artifact_key]
    assert uploads.complete(ALICE, upload_id, ids, None).file == others[0].file, "asked again"


def test_a_half_written_file_is_none(bench: Bench) -> None:
    def send() -> None:
        with bench.door.files.incoming(ALICE) as coming:
            coming.write(b"x" * 100)
            raise _Killed

    with pytest.raises(_Killed):
        send()
    assert not list(bench.places.artifacts.list("files"))

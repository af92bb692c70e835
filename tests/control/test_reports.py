"""What a report does to its attempt, case by case."""

from dataclasses import replace

import pytest

from fallow.control.reports import Failed, Reported, Verdict, judge, open_reports, packed
from fallow.core.changes import Change, MoveAttempt
from fallow.core.chunk import Artifact, Attempt, Case, Chunk, Extent
from fallow.core.job import Input, JobSpec
from fallow.core.lifecycle import AttemptEvent
from fallow.core.words import AttemptId, AttemptState, ChunkId, ChunkState, InputFormat, JobId, JobKey, Micros, WorkerId
from fallow.protocols.rest import work as wire
from fallow.sim.signing import identity_of, receipt_for, sealed
from fallow.sim.worker import FORGER
from fallow.store.port import WorkerRow

ME = identity_of(b"1" * 32)
SPEC = JobSpec(JobId("j"), Input("sim:x", InputFormat.JSONL), command=("model",))
SHA = "ab" * 32
INLINE_MAX = 1000
LINES = [b'{"n":0}', b'{"n":1}', b'{"n":2}']
DATA = b"".join(line + b"\n" for line in LINES)
LEASE = wire.Lease(
    attempt_id=31,
    job_id="j",
    chunk_id=7,
    item_start=20,
    item_count=3,
    contract="stream",
    input=wire.ChunkInput("jsonl"),
    limits=wire.LimitsMessage(),
    upload_url="",
    log_url="",
    deadline_seconds=60.0,
    ran=SPEC.ran,
)
RECEIPT = receipt_for(LEASE, LINES, ME.worker_id, SHA, "fallow:x", Micros(0), Micros(1))


def case(state: AttemptState = AttemptState.LEASED, worker: str = ME.worker_id) -> Case:
    job, chunk = JobKey(1), ChunkId(7)
    attempt = Attempt(AttemptId(31), job, chunk, state, WorkerId(worker))
    return Case(Chunk(job, chunk, ChunkState.OPEN, 0, 20, 3, Extent(0, 9, 0, SHA)), [attempt])


def judged(report: Reported, of: Case | None) -> tuple[Verdict, list[Change]]:
    row = WorkerRow(ME.worker_id, "olga", "w", None, ME.public_key, "{}", "s", Micros(0), Micros(0))
    opened = open_reports([report], row, INLINE_MAX)
    return judge(opened[0], of, SPEC if of else None, ME.worker_id, "pack:1")


def answer(**changes: object) -> Reported:
    envelope = sealed(replace(RECEIPT, **changes), ME)  # type: ignore[arg-type]
    return Reported(AttemptId(31), envelope, DATA)


def events(moves: list[Change]) -> list[str]:
    return [each.event for each in moves if isinstance(each, MoveAttempt)]


def test_a_good_answer_is_taken_and_needs_no_second_look() -> None:
    verdict, moves = judged(answer(), case())
    assert verdict.verdict == "accepted"
    assert events(moves) == ["report"]
    assert isinstance(moves[0], MoveAttempt)
    assert moves[0].checked
    assert moves[0].answer is not None
    assert moves[0].answer.artifact == Artifact("pack:1", RECEIPT.artifact_sha256, len(DATA), 0)


def test_an_uploaded_answer_is_looked_at_later() -> None:
    _, moves = judged(replace(answer(), inline=None), case())
    assert isinstance(moves[0], MoveAttempt)
    assert not moves[0].checked


def test_a_late_answer_is_welcome() -> None:
    verdict, moves = judged(answer(), case(AttemptState.LOST))
    assert verdict.verdict == "late"
    assert events(moves) == ["report"]


@pytest.mark.parametrize("state", [AttemptState.REPORTED, AttemptState.VALID])
def test_what_was_reported_before_is_accepted_again(state: AttemptState) -> None:
    assert judged(answer(), case(state)) == (
        Verdict(AttemptId(31), "accepted", message="It was reported before."),
        [],
    )


@pytest.mark.parametrize(
    "state", [AttemptState.INVALID, AttemptState.ERRORED, AttemptState.ABORTED, AttemptState.DROPPED]
)
def test_what_is_over_stays_over(state: AttemptState) -> None:
    verdict, moves = judged(answer(), case(state))
    assert (verdict.verdict, verdict.code, moves) == ("refused", "attempt_over", [])


def test_nobody_reports_what_another_one_holds() -> None:
    for of in (case(worker="w-other"), None):
        verdict, moves = judged(answer(), of)
        assert (verdict.verdict, verdict.code, moves) == ("refused", "attempt_not_held", [])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"job_id": "other"}, "job"),
        ({"chunk_id": 8}, "chunk"),
        ({"attempt_id": 32}, "attempt"),
        ({"worker_id": "w-other"}, "worker"),
        ({"image": "sha256:other"}, "image"),
        ({"contract": "files"}, "contract"),
        ({"item_start": 19, "item_end": 21}, "first item"),
        ({"input_sha256": "cd" * 32}, "input"),
    ],
)
def test_a_receipt_for_something_else_is_an_invalid_answer(changes: dict[str, object], what: str) -> None:
    verdict, moves = judged(answer(**changes), case())
    assert (verdict.verdict, verdict.code) == ("refused", "receipt_invalid")
    assert f"another {what}" in verdict.message
    assert events(moves) == ["report", "disagree"]


def test_a_forged_receipt_is_the_workers_failure() -> None:
    forged = Reported(AttemptId(31), sealed(RECEIPT, FORGER), DATA)
    verdict, moves = judged(forged, case())
    assert verdict.code == "receipt_invalid"
    assert events(moves) == ["fail"]
    assert judged(forged, case(AttemptState.LOST))[1] == []


@pytest.mark.parametrize("envelope", [b"", b"{}", b"\xff", b"[" * 10_000])
def test_no_receipt_at_all(envelope: bytes) -> None:
    verdict, moves = judged(Reported(AttemptId(31), envelope), case())
    assert verdict.code == "receipt_invalid"
    assert events(moves) == ["fail"]


def test_a_failure_keeps_its_head_only_with_a_receipt_for_it() -> None:
    head = receipt_for(LEASE, LINES[:2], ME.worker_id, SHA, "fallow:x", Micros(0), Micros(1))
    failed = Failed("submitter", "exit_code", "It fell over.", 2, 22, 3, "last words")
    good = Reported(AttemptId(31), sealed(head, ME), b"".join(each + b"\n" for each in LINES[:2]), failed)
    _, moves = judged(good, case())
    assert events(moves) == ["fail"]
    assert isinstance(moves[0], MoveAttempt)
    assert moves[0].answer is not None
    assert (moves[0].answer.items_done, moves[0].answer.bad_item) == (2, 22)
    assert moves[0].answer.artifact is not None
    for wrong in (replace(good, envelope=b""), replace(good, failed=replace(failed, items_done=1))):
        _, moves = judged(wrong, case())
        assert isinstance(moves[0], MoveAttempt)
        assert moves[0].answer is not None
        assert (moves[0].answer.items_done, moves[0].answer.artifact) == (0, None)


@pytest.mark.parametrize(
    ("failure_class", "event"),
    [
        ("submitter", "fail"),
        ("worker", "fail"),
        ("limits", "fail"),
        ("ours", "fail"),
        ("aborted", "abort"),
        ("?", "fail"),
    ],
)
def test_each_class_of_failure(failure_class: str, event: str) -> None:
    _, moves = judged(Reported(AttemptId(31), failed=Failed(failure_class, "c", "m", bad_item=99)), case())
    assert events(moves) == [event]
    if event == "fail":
        assert isinstance(moves[0], MoveAttempt)
        assert moves[0].answer is not None
        assert moves[0].answer.bad_item is None, "an item of another chunk is nobody's fault here"


def test_a_late_failure_changes_nothing() -> None:
    verdict, moves = judged(Reported(AttemptId(31), failed=Failed("worker", "c", "m")), case(AttemptState.LOST))
    assert (verdict.verdict, moves) == ("late", [])


@pytest.mark.parametrize(("state", "expected"), [(AttemptState.LEASED, [AttemptEvent.ABORT]), (AttemptState.LOST, [])])
def test_a_second_answer_of_the_same_worker_is_not_taken(state: AttemptState, expected: list[AttemptEvent]) -> None:
    of = case(state)
    of.attempts.insert(0, replace(of.attempts[0], attempt_id=AttemptId(30), state=AttemptState.REPORTED))
    verdict, moves = judged(answer(), of)
    assert (verdict.verdict, verdict.code) == ("refused", "attempt_over")
    assert events(moves) == expected
    of.attempts[0] = replace(of.attempts[0], state=AttemptState.INVALID)
    assert judged(answer(), of)[0].verdict in ("accepted", "late")


def test_several_answers_of_one_job_lie_behind_each_other() -> None:
    row = WorkerRow(ME.worker_id, "olga", "w", None, ME.public_key, "{}", "s", Micros(0), Micros(0))
    bad = replace(answer(), inline=b"x" * len(DATA))
    other = answer(job_id="k")
    opened = open_reports([answer(), bad, other, answer()], row, INLINE_MAX)
    assert [one.offset for one in opened if one.is_packed] == [0, 0, len(DATA)]
    assert packed(opened) == {"j": DATA + DATA, "k": DATA}


def test_an_answer_too_large_to_come_along_must_be_uploaded() -> None:
    row = WorkerRow(ME.worker_id, "olga", "w", None, ME.public_key, "{}", "s", Micros(0), Micros(0))
    (one,) = open_reports([answer()], row, len(DATA) - 1)
    assert "must be uploaded" in one.fault
    assert not one.is_packed

"""Reports: what workers say became of their attempts. Each is judged on its own, and all are applied at once."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from fallow.control.answers import examine
from fallow.control.signatures import checker
from fallow.core.changes import Change, MoveAttempt
from fallow.core.chunk import Answer, Artifact, Attempt, Case, Chunk
from fallow.core.job import JobSpec
from fallow.core.lifecycle import AttemptEvent
from fallow.core.receipt import Receipt, unseal
from fallow.core.refusals import Code, Refusal
from fallow.core.trace import Timed
from fallow.core.volunteer_ids import host_of
from fallow.core.words import AttemptId, AttemptState, Contract, FailureClass, InputFormat, WorkerId
from fallow.store.port import WorkerRow

_REPORTABLE = frozenset({AttemptState.LEASED, AttemptState.LOST})
_ANSWERED = frozenset({AttemptState.REPORTED, AttemptState.VALID})
_TEXT_MAX = 2000
_LOG_TAIL_MAX = 4000
_CLASSES = {each.value: each for each in FailureClass}
_NAMED = ("job", "chunk", "attempt", "worker", "image", "contract", "first item", "item count", "input")
_DECODE = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Failed:
    """Why an attempt failed, as the worker has it. See protocols.rest.work.Failure for the codes."""

    failure_class: str
    code: str
    message: str
    items_done: int = 0
    bad_item: int | None = None
    exit_code: int | None = None
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class Reported:
    """One report. envelope: the receipt, for an answer or for the finished head of a failed attempt. steps: of a traced
    attempt, how long each took."""

    attempt_id: AttemptId
    envelope: bytes = b""
    inline: bytes | None = None
    failed: Failed | None = None
    log_size_bytes: int = 0
    steps: tuple[Timed, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the worker is told. verdict: "accepted", "late" or "refused"."""

    attempt_id: AttemptId
    verdict: str
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A report whose receipt was opened and whose inline bytes were looked at. fault: "" or what is wrong with it, and
    then `forged` says that the signature is not the worker's."""

    report: Reported
    receipt: Receipt | None = None
    fault: str = ""
    forged: bool = False
    offset: int = 0  # of the inline bytes in the pack of their job

    @property
    def is_packed(self) -> bool:
        """Whether its bytes came along and are good."""
        return self.report.inline is not None and self.receipt is not None and not self.fault


def packed(opened: Sequence[Opened]) -> dict[str, bytes]:
    """The good inline artifacts by the job they are for, one behind the other, as their offsets say."""
    pieces: dict[str, list[bytes]] = {}
    for one in opened:
        if one.is_packed and one.receipt is not None and one.report.inline is not None:
            pieces.setdefault(one.receipt.job_id, []).append(one.report.inline)
    return {job_id: b"".join(each) for job_id, each in pieces.items()}


def artifact_key(job_id: str, attempt_id: int) -> str:
    """Where an attempt's artifact goes when it is uploaded. Every attempt has its own key."""
    return f"jobs/{job_id}/attempts/{attempt_id}/artifact"


def log_key(job_id: str, attempt_id: int) -> str:
    return f"jobs/{job_id}/attempts/{attempt_id}/log"


def open_reports(reports: Sequence[Reported], worker: WorkerRow, inline_bytes_max: int) -> list[Opened]:
    """Opens receipts and looks at inline bytes: all that can be known of a report without the rows.

    A volunteer's worker has no key before its first answer: until then it can report failures only."""
    check = checker(worker.public_key) if worker.public_key else _nobodys
    opened: list[Opened] = []
    offsets: dict[str, int] = {}
    for report in reports:
        one = _opened(report, check, inline_bytes_max)
        if one.is_packed and one.receipt is not None:
            offset = offsets.get(one.receipt.job_id, 0)
            offsets[one.receipt.job_id] = offset + one.receipt.artifact_size_bytes
            one = Opened(report, one.receipt, offset=offset)
        opened.append(one)
    return opened


def _nobodys(message: bytes, signature: bytes) -> bool:
    return False


def loads(text: bytes) -> object:
    """json.loads() at a third of its cost. What msgspec will not read is left to json: they must never differ."""
    try:
        return _DECODE(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(text)


def _opened(report: Reported, check: Callable[[bytes, bytes], bool], inline_bytes_max: int) -> Opened:
    if not report.envelope:
        return Opened(report, None, "" if report.failed else "it has neither a receipt nor a failure")
    try:
        receipt = unseal(report.envelope, check, loads)
    except Refusal as refusal:
        return Opened(report, None, str(refusal), forged=True)
    if report.inline is None:
        return Opened(report, receipt)
    if len(report.inline) > inline_bytes_max:
        return Opened(report, receipt, f"an artifact over {inline_bytes_max} bytes must be uploaded")
    return Opened(report, receipt, examine([report.inline], receipt).fault)


def judge(
    one: Opened, case: Case | None, spec: JobSpec | None, worker_id: WorkerId, pack: str
) -> tuple[Verdict, list[Change]]:
    """What a report does to its attempt; never raises. case, spec: None when there is no such attempt."""
    attempt_id = one.report.attempt_id
    attempt = _attempt_of(case, attempt_id)
    if case is None or spec is None or attempt is None or attempt.worker_id != worker_id:
        return _refused(attempt_id, Code.ATTEMPT_NOT_HELD, "This worker does not hold that attempt."), []
    if attempt.state not in _REPORTABLE:
        if attempt.state in _ANSWERED and one.report.failed is None:
            return Verdict(attempt_id, "accepted", message="It was reported before."), []
        return _refused(attempt_id, Code.ATTEMPT_OVER, f"The attempt is {attempt.state} already."), []
    late = attempt.state is AttemptState.LOST
    if one.report.failed is None and _has_answered(case, attempt):
        return _second_answer(attempt)
    if one.report.failed is not None:
        return _judge_failure(one, case, spec, attempt, pack)
    fault = one.fault or _mismatch(one.receipt, case, spec, attempt)
    if one.forged or one.receipt is None:
        return _judge_forged(one, attempt, fault)
    answer = _answer(one, case, spec, pack)
    moves: list[Change] = [
        MoveAttempt(
            attempt_id,
            AttemptEvent.REPORT,
            "late, but kept" if late else "",
            answer,
            checked=not fault and one.report.inline is not None,
        )
    ]
    if fault:
        moves.append(MoveAttempt(attempt_id, AttemptEvent.DISAGREE, fault))
        return _refused(attempt_id, Code.RECEIPT_INVALID, f"The answer was not taken: {fault}."), moves
    return Verdict(attempt_id, "late" if late else "accepted"), moves


def _has_answered(case: Case, attempt: Attempt) -> bool:
    """Whether another attempt of the same worker has an answer that may count, late as it came. A volunteer's machine
    that signs with a new key is a new worker, and still the same machine."""
    machine = _machine(attempt.worker_id)
    return any(
        a.attempt_id != attempt.attempt_id and a.state in _ANSWERED and _machine(a.worker_id) == machine
        for a in case.attempts
    )


def _machine(worker_id: WorkerId | None) -> WorkerId | int | None:
    return worker_id if worker_id is None else host_of(worker_id) or worker_id


def _second_answer(attempt: Attempt) -> tuple[Verdict, list[Change]]:
    """A worker must not agree with itself: its second answer to a chunk is not taken."""
    said = "This worker has answered the chunk already."
    verdict = _refused(attempt.attempt_id, Code.ATTEMPT_OVER, said)
    if attempt.state is AttemptState.LOST:
        return verdict, []
    return verdict, [MoveAttempt(attempt.attempt_id, AttemptEvent.ABORT, "its worker has answered the chunk already")]


def _judge_forged(one: Opened, attempt: Attempt, fault: str) -> tuple[Verdict, list[Change]]:
    """An answer nobody signed for counts as the worker's failure; a lost attempt is left as it is."""
    verdict = _refused(attempt.attempt_id, Code.RECEIPT_INVALID, fault)
    if attempt.state is AttemptState.LOST:
        return verdict, []
    answer = Answer(failure_class=FailureClass.WORKER, code="receipt_invalid", message=fault[:_TEXT_MAX])
    return verdict, [MoveAttempt(attempt.attempt_id, AttemptEvent.FAIL, f"worker receipt_invalid: {fault}", answer)]


def _judge_failure(one: Opened, case: Case, spec: JobSpec, attempt: Attempt, pack: str) -> tuple[Verdict, list[Change]]:
    failed = one.report.failed
    assert failed is not None
    if attempt.state is AttemptState.LOST:
        return Verdict(attempt.attempt_id, "late", message="The attempt was given up before."), []
    answer = _answer_of_failure(one, case, spec, attempt, pack)
    if answer.failure_class is FailureClass.ABORTED:
        return Verdict(attempt.attempt_id, "accepted"), [
            MoveAttempt(attempt.attempt_id, AttemptEvent.ABORT, f"{answer.code}: {answer.message}")
        ]
    cause = f"{answer.failure_class} {answer.code}: {answer.message}"
    checked = answer.artifact is not None and one.report.inline is not None
    return Verdict(attempt.attempt_id, "accepted"), [
        MoveAttempt(attempt.attempt_id, AttemptEvent.FAIL, cause, answer, checked=checked)
    ]


def _answer_of_failure(one: Opened, case: Case, spec: JobSpec, attempt: Attempt, pack: str) -> Answer:
    """The failure as a row has it. The finished head is taken only with a receipt for exactly those items."""
    failed = one.report.failed
    assert failed is not None
    chunk = case.chunk
    done = failed.items_done if 0 <= failed.items_done < chunk.item_count else 0
    receipt = one.receipt
    head_good = (
        receipt is not None
        and not one.fault
        and done > 0
        and receipt.item_count == done
        and not _mismatch(receipt, case, spec, attempt, done)
    )
    bad = failed.bad_item
    return Answer(
        envelope=one.report.envelope if head_good else b"",
        artifact=_artifact(one, spec, pack) if head_good else None,
        items_root=receipt.items_root if head_good and receipt else "",
        item_errors=receipt.item_errors if head_good and receipt else 0,
        failure_class=_CLASSES.get(failed.failure_class, FailureClass.WORKER),
        code=failed.code[:100],
        message=failed.message[:_TEXT_MAX],
        items_done=done if head_good else 0,
        bad_item=bad if bad is not None and chunk.item_start <= bad <= chunk.item_end else None,
        exit_code=failed.exit_code,
        log_tail=failed.log_tail[-_LOG_TAIL_MAX:],
        log_size_bytes=one.report.log_size_bytes,
    )


def _answer(one: Opened, case: Case, spec: JobSpec, pack: str) -> Answer:
    receipt = one.receipt
    assert receipt is not None
    return Answer(
        envelope=one.report.envelope,
        artifact=_artifact(one, spec, pack),
        items_root=receipt.items_root,
        item_errors=receipt.item_errors,
        items_done=case.chunk.item_count,
        log_size_bytes=one.report.log_size_bytes,
        cpu_seconds=receipt.cpu_seconds,
        memory_bytes_max=receipt.memory_bytes_max,
    )


def _artifact(one: Opened, spec: JobSpec, pack: str) -> Artifact:
    receipt = one.receipt
    assert receipt is not None
    if one.report.inline is not None:
        return Artifact(pack, receipt.artifact_sha256, receipt.artifact_size_bytes, one.offset)
    key = artifact_key(spec.job_id, one.report.attempt_id)
    if spec.contract == "direct":
        key = f"{direct_prefix(spec.job_id, one.report.attempt_id)}/{receipt.artifact_uri.rpartition('/')[2]}"
    return Artifact(key, receipt.artifact_sha256, receipt.artifact_size_bytes)


def direct_prefix(job_id: str, attempt_id: int) -> str:
    """Under which key an image of the direct contract may write."""
    return f"jobs/{job_id}/attempts/{attempt_id}/out"


def _mismatch(receipt: Receipt | None, case: Case, spec: JobSpec, attempt: Attempt, items: int | None = None) -> str:
    """What the receipt says differently from what was leased; "" when it is for this attempt."""
    if receipt is None:
        return "there is no receipt"
    chunk = case.chunk
    has = (
        receipt.job_id,
        receipt.chunk_id,
        receipt.attempt_id,
        receipt.worker_id,
        receipt.image,
        receipt.contract,
        receipt.item_start,
        receipt.item_count,
        receipt.input_sha256,
    )
    wanted = (
        spec.job_id,
        chunk.chunk_id,
        attempt.attempt_id,
        attempt.worker_id,
        spec.ran,
        spec.contract,
        chunk.item_start,
        chunk.item_count if items is None else items,
        _input_sha256(spec, chunk) or receipt.input_sha256,
    )
    if has == wanted:
        return ""
    wrong = next(place for place in range(len(_NAMED)) if has[place] != wanted[place])
    return f"its receipt names another {_NAMED[wrong]}: {has[wrong]!s:.80} for {wanted[wrong]!s:.80}"


def _input_sha256(spec: JobSpec, chunk: Chunk) -> str:
    """What a receipt must name as its input; "" where the worker does not see the planner's bytes as they are."""
    if spec.contract is Contract.DIRECT or spec.input.format is InputFormat.OBJECTS:
        return ""
    return chunk.extent.sha256


def _attempt_of(case: Case | None, attempt_id: AttemptId) -> Attempt | None:
    return next((a for a in case.attempts if a.attempt_id == attempt_id), None) if case else None


def _refused(attempt_id: AttemptId, code: Code, message: str) -> Verdict:
    return Verdict(attempt_id, "refused", code, message[:_TEXT_MAX])

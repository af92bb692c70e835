"""An uploaded answer file as a worker's reports, and a failed task's last words as a failure."""

import hashlib
import json
from functools import partial
from typing import Final

import msgspec

from fallow.control.boinc.returned import AnswerFile, Brought, Returned
from fallow.control.boinc.uploads import UploadName
from fallow.control.reports import Failed, Reported
from fallow.core.words import AttemptId, FailureClass
from fallow.protocols.boinc.messages import ClientResult
from fallow.protocols.boinc.states import failure_of
from fallow.protocols.rest.work import Failure
from fallow.web.boinc.uploads import answer_file
from fallow.web.deps import Door
from fallow.web.work import failed_of

_LAST_WORDS: Final = "fallow-failure "
_UPLOADED: Final = 5  # BOINC's client state of a result whose files are all uploaded
_ANSWERS_MAX: Final = 1000
_KEY_BYTES: Final = 32  # Ed25519
_NUMBER_MAX: Final = 2**53


class _Answer(msgspec.Struct, frozen=True):
    attempt_id: int
    envelope: bytes = b""
    inline: bytes | None = None
    failure: Failure | None = None
    log_size_bytes: int = 0


class _File(msgspec.Struct, frozen=True):
    """answer.json. Byte strings are base64."""

    answer_version: int
    public_key: bytes
    answers: tuple[_Answer, ...]
    engine: str = ""


_DECODE: Final = msgspec.json.Decoder(_File).decode


def returned(door: Door, result_id: int, said: ClientResult) -> Returned:
    """What a client reports of one task, and how to read what it uploaded."""
    return Returned(
        result_id=result_id,
        exit_status=said.exit_status,
        client_state=said.client_state,
        elapsed_seconds=said.elapsed_seconds,
        brought=partial(_brought, door, result_id, said),
    )


def _brought(door: Door, result_id: int, said: ClientResult, data: bytes | None) -> Brought:
    """data: what was uploaded; None: it is looked for, also in the object store."""
    if said.client_state != _UPLOADED or said.exit_status != 0:
        return Brought(None, _failed(said))
    file = answer_file(door, result_id)
    if data is None:
        data = door.boinc.uploads.read(file)
    if data is None:
        answer, wrong = None, "The task's answer was never uploaded."
    else:
        answer, wrong = _checked(file, said, data)
    size_bytes = len(data or b"")
    if answer is None:
        return Brought(None, Failed(FailureClass.WORKER, "answer_unreadable", wrong), size_bytes)
    return Brought(answer, _failed(said), size_bytes)


def _checked(file: UploadName, said: ClientResult, data: bytes) -> tuple[AnswerFile | None, str]:
    """(the answer, what is wrong with it)."""
    theirs = next((each for each in said.files if each.name == file.name), None)
    if theirs is not None and theirs.md5:
        same = theirs.size_bytes == len(data) and theirs.md5.lower() == _md5(data)
        if not same:
            return None, "The uploaded answer is not the one that the client reports."
    return read_answer(data)


def read_answer(data: bytes) -> tuple[AnswerFile | None, str]:
    """(what an answer file says, what is wrong with it). NUL characters in texts are replaced: PostgreSQL cannot keep
    them."""
    try:
        file = _DECODE(data.replace(b"\\u0000", b"\\ufffd") if b"\\u0000" in data else data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        return None, f"The task's answer cannot be read: {str(wrong)[:200]}."
    if len(file.answers) > _ANSWERS_MAX or file.answer_version != 1:
        return None, "The task's answer is of another release."
    if len(file.public_key) != _KEY_BYTES:
        return None, "The key in the task's answer is none."
    if any(_too_large(each) for each in file.answers):
        return None, "A number in the task's answer is too large."
    return AnswerFile(file.public_key, file.engine[:80], tuple(map(_reported, file.answers))), ""


def _too_large(answer: _Answer) -> bool:
    failure = answer.failure
    numbers = [answer.attempt_id, answer.log_size_bytes]
    if failure is not None:
        numbers += [failure.items_done, failure.bad_item or 0, failure.exit_code or 0]
    return any(abs(each) > _NUMBER_MAX for each in numbers)


def _reported(answer: _Answer) -> Reported:
    return Reported(
        attempt_id=AttemptId(answer.attempt_id),
        envelope=answer.envelope,
        inline=answer.inline,
        failed=failed_of(answer.failure) if answer.failure else None,
        log_size_bytes=answer.log_size_bytes,
    )


def _failed(said: ClientResult) -> Failed:
    """Of a task without an answer: in the runner's own words where it left some, else by the client's numbers."""
    if said.exit_status != 0 and (words := _last_words(said.stderr)) is not None:
        return words
    failure_class, code, message = failure_of(said.client_state, said.exit_status)
    return Failed(failure_class, code, message, exit_code=said.exit_status, log_tail=said.stderr[-4000:])


def _last_words(stderr: str) -> Failed | None:
    for line in reversed(stderr.splitlines()):
        if line.startswith(_LAST_WORDS):
            try:
                found = msgspec.convert(json.loads(line.removeprefix(_LAST_WORDS)), Failure)
            except (ValueError, RecursionError):
                return None
            failure = failed_of(found)
            numbers = (failure.items_done, failure.bad_item or 0, failure.exit_code or 0)
            return failure if all(abs(each) <= _NUMBER_MAX for each in numbers) else None
    return None


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()

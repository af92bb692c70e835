"""Answers of a batch, outwards: lines of the output file and of the error file.

A line's id is made of the batch and the item, so that a file that is written twice is the same.
Source: the batch output object of OpenAI's API reference; batch_cancelled and batch_failed: llm-d's batch gateway.
"""

import hashlib
from typing import Any, Final

import msgspec

from fallow.core.batches import Published, Tokens
from fallow.core.words import JobState

_ENDINGS: Final = {
    JobState.EXPIRED: (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    JobState.CANCELLED: ("batch_cancelled", "This request was not executed: the batch was cancelled."),
    JobState.FAILED: ("batch_failed", "This request was not executed: the batch failed."),
    JobState.COMPLETED: ("batch_failed", "This request has no answer."),
}
_TOKENS_MAX: Final = 2**33  # of one answer: the sum over a million is exact in JavaScript too
_NULL: Final = msgspec.Raw(b"null")
_encode: Final = msgspec.json.Encoder().encode


class _Request(msgspec.Struct):
    custom_id: str = ""


class _Response(msgspec.Struct):
    status_code: int
    request_id: str = ""
    body: msgspec.Raw = _NULL


class _Answer(msgspec.Struct):
    response: _Response


class _Error(msgspec.Struct):
    code: Any = "error"
    message: Any = ""


class _Failure(msgspec.Struct):
    error: _Error
    response: _Response | None = None


class _Usage(msgspec.Struct):
    """Both spellings: of chat completions and embeddings, and of responses."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: dict[str, Any] | None = None
    completion_tokens_details: dict[str, Any] | None = None
    input_tokens_details: dict[str, Any] | None = None
    output_tokens_details: dict[str, Any] | None = None


class _Used(msgspec.Struct):
    usage: _Usage | None = None


_to_request: Final = msgspec.json.Decoder(_Request).decode
_to_answer: Final = msgspec.json.Decoder(_Answer).decode
_to_failure: Final = msgspec.json.Decoder(_Failure).decode
_to_used: Final = msgspec.json.Decoder(_Used).decode
_NOT_SO: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def answered(batch_id: str, item: int, request: bytes, answer: bytes, *, failed: bool) -> Published:
    """The line for an item with an answer: as the `http` contract gives it, or any JSON value, which is then the body.

    failed: the answer is {"error": ...}, with or without the HTTP response behind it.
    """
    if failed:
        return _failed(batch_id, item, request, answer)
    try:
        response = _to_answer(answer).response
    except _NOT_SO:
        response = _Response(200, body=msgspec.Raw(answer))
    return Published(_line(batch_id, item, request, response, None), tokens_of(bytes(response.body)))


def unanswered(batch_id: str, item: int, request: bytes, ending: JobState) -> Published:
    """The error file's line for an item that was never done."""
    code, message = _ENDINGS.get(ending, _ENDINGS[JobState.FAILED])
    return Published(_line(batch_id, item, request, None, {"code": code, "message": message}))


def tokens_of(body: bytes) -> Tokens | None:
    """What an answer says it used; None when it says nothing."""
    try:
        usage = _to_used(body).usage
    except _NOT_SO:
        return None
    if usage is None:
        return None
    into = usage.input_tokens or usage.prompt_tokens
    out = usage.output_tokens or usage.completion_tokens
    return Tokens(
        input=_count(into),
        cached=_detail(usage.input_tokens_details or usage.prompt_tokens_details, "cached_tokens"),
        output=_count(out),
        reasoning=_detail(usage.output_tokens_details or usage.completion_tokens_details, "reasoning_tokens"),
        total=_count(usage.total_tokens or into + out),
    )


def _detail(details: dict[str, Any] | None, name: str) -> int:
    found = (details or {}).get(name)
    return _count(found) if isinstance(found, int) else 0


def _count(said: int) -> int:
    """A stranger's number, as one that can be added up and shown."""
    return min(max(said, 0), _TOKENS_MAX)


def _failed(batch_id: str, item: int, request: bytes, answer: bytes) -> Published:
    try:
        failure = _to_failure(answer)
    except _NOT_SO:
        failure = _Failure(_Error(message="The answer cannot be read."))
    if failure.response is not None:
        return Published(_line(batch_id, item, request, failure.response, None))
    error = {"code": str(failure.error.code), "message": str(failure.error.message)}
    return Published(_line(batch_id, item, request, None, error))


def _line(batch_id: str, item: int, request: bytes, response: _Response | None, error: dict[str, str] | None) -> bytes:
    digest = hashlib.sha256(f"{batch_id}:{item}".encode()).hexdigest()[:24]
    said = None
    if response is not None:
        said = {
            "status_code": response.status_code,
            "request_id": response.request_id or f"req_{digest}",
            "body": response.body,
        }
    line = {
        "id": f"batch_req_{digest}",
        "custom_id": _to_request(request).custom_id,
        "response": said,
        "error": error,
    }
    return _encode(line) + b"\n"

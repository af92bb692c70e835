"""Refusals as OpenAI's clients read them: {"error": {"message", "type", "param", "code"}}, all four always there."""

import json
from collections.abc import Mapping
from typing import Any, Final

from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.refusals import headers_of as rest_headers
from fallow.protocols.rest.refusals import status_of as rest_status

_UNPROCESSABLE: Final = frozenset(
    {
        Code.IMAGE_INVALID,
        Code.IMAGE_UNKNOWN,
        Code.IMAGE_PLATFORM,
        Code.PLUGIN_UNKNOWN,
        Code.INPUT_MISSING,
        Code.INPUT_UNREADABLE,
        Code.ENGINE_NOT_ALLOWED,
    }
)
"""The request is well-formed; what it names cannot be used."""

_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
_CODES: Final[Mapping[Code, str]] = {Code.UNAUTHENTICATED: "invalid_api_key", Code.TOO_MANY: "rate_limit_exceeded"}


def status_of(code: Code) -> int:
    """The HTTP status; the client's exception follows from it."""
    return 422 if code in _UNPROCESSABLE else rest_status(code)


def refusal_body(refusal: Refusal) -> bytes:
    """A refusal's JSON bytes. param: the request's member that is wrong, where one is."""
    param = refusal.details.get("field")
    return error_body(
        status_of(refusal.code),
        str(refusal),
        _CODES.get(refusal.code, str(refusal.code)),
        param if isinstance(param, str) else None,
    )


def error_body(status: int, message: str, code: str, param: str | None = None) -> bytes:
    """ASCII only: a message may quote half of a surrogate pair, which UTF-8 cannot say."""
    kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
    error: dict[str, Any] = {"message": message, "type": kind, "param": param, "code": code}
    return json.dumps({"error": error}).encode("ascii")


def headers_of(refusal: Refusal) -> dict[str, str]:
    """A conflict here never goes away by asking again, though the client would ask three times."""
    headers = rest_headers(refusal)
    if status_of(refusal.code) == 409:
        headers["x-should-retry"] = "false"
    return headers

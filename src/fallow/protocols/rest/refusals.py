"""Refusals as the REST door says them: a status, and {"error": {"code", "message", "remedy", "details"}}."""

import json
from collections.abc import Mapping
from typing import Final

from fallow.core.refusals import Code, Refusal

STATUS: Final[Mapping[Code, int]] = {
    Code.BAD_REQUEST: 400,
    Code.INPUT_MISSING: 400,
    Code.INPUT_UNREADABLE: 400,
    Code.INPUT_CHANGED: 409,
    Code.INPUT_NOT_ALLOWED: 403,
    Code.INPUT_FORMAT: 400,
    Code.RANGE_INVALID: 400,
    Code.RANGE_PAST_END: 400,
    Code.CHUNKS_INVALID: 400,
    Code.JOB_ID_INVALID: 400,
    Code.JOB_ID_TAKEN: 409,
    Code.OUTPUT_EXISTS: 409,
    Code.OUTPUT_NOT_ALLOWED: 403,
    Code.OUTPUT_UNWRITABLE: 400,
    Code.IMAGE_INVALID: 400,
    Code.IMAGE_UNKNOWN: 400,
    Code.IMAGE_PLATFORM: 400,
    Code.PLUGIN_UNKNOWN: 400,
    Code.UNAUTHENTICATED: 401,
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    Code.STATE_CONFLICT: 409,
    Code.TOO_LARGE: 413,
    Code.TOO_MANY: 429,
    Code.ATTEMPT_NOT_HELD: 409,
    Code.ATTEMPT_OVER: 409,
    Code.RECEIPT_INVALID: 400,
    Code.WORKER_UNKNOWN: 404,
    Code.CLOCK_SKEW: 409,
    Code.URL_EXPIRED: 403,
    Code.URL_INVALID: 403,
    Code.RANGE_NOT_SATISFIABLE: 416,
    Code.OFFSET_CONFLICT: 409,
    Code.DIGEST_MISMATCH: 400,
    Code.ALREADY_EXISTS: 409,
    Code.ADDRESS_FORBIDDEN: 403,
    Code.FETCH_FAILED: 502,
    Code.STORAGE_FULL: 507,
    Code.STORAGE_UNREACHABLE: 503,
    Code.ENGINE_MISSING: 503,
    Code.ENGINE_NOT_ALLOWED: 403,
    Code.SERVER_UNREACHABLE: 503,
    Code.SETTING_INVALID: 400,
}
INTERNAL: Final = "internal"  # a broken invariant of ours; the one word on the wire that is no refusal


def status_of(code: Code) -> int:
    """The HTTP status; 400 for a code that is newer than this table."""
    return STATUS.get(code, 400)


def headers_of(refusal: Refusal) -> dict[str, str]:
    """What HTTP wants beside some statuses (RFC 9110: 11.6.1, 14.4), and the offset an upload goes on from."""
    if refusal.code is Code.UNAUTHENTICATED:
        return {"www-authenticate": 'Bearer realm="fallow"'}
    if refusal.code is Code.STORAGE_UNREACHABLE:
        return {"retry-after": "2"}
    if refusal.code is Code.TOO_MANY and isinstance(seconds := refusal.details.get("retry_seconds"), int):
        return {"retry-after": str(seconds)}
    if refusal.code is Code.RANGE_NOT_SATISFIABLE and isinstance(size := refusal.details.get("size_bytes"), int):
        return {"content-range": f"bytes */{size}"}
    if refusal.code is Code.OFFSET_CONFLICT and isinstance(offset := refusal.details.get("offset"), int):
        return {"upload-offset": str(offset)}
    return {}


def error_body(
    code: str, message: str, remedy: str = "", details: Mapping[str, object] | None = None, request_id: str = ""
) -> bytes:
    """The JSON bytes. ASCII only: a message may quote half of a surrogate pair, which UTF-8 cannot say."""
    error = {"code": code, "message": message, "remedy": remedy, "details": dict(details or {})}
    if request_id:
        error["request_id"] = request_id
    return json.dumps({"error": error}, default=str).encode("ascii")


def refusal_body(refusal: Refusal) -> bytes:
    """A refusal's JSON bytes."""
    return error_body(refusal.code, refusal.message, refusal.remedy, refusal.details)

"""Refusals: the caller asked for something that cannot be done.

A refusal has a stable code (for scripts), a sentence that says what is wrong, and a remedy that says what to do. Each
protocol owns one table from these codes to its own form of error.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Code(StrEnum):
    """Every refusal there is. A code never changes its meaning."""

    # the submission
    BAD_REQUEST = "bad_request"
    INPUT_MISSING = "input_missing"
    INPUT_UNREADABLE = "input_unreadable"
    INPUT_CHANGED = "input_changed"
    INPUT_NOT_ALLOWED = "input_not_allowed"
    INPUT_FORMAT = "input_format"
    RANGE_INVALID = "range_invalid"
    RANGE_PAST_END = "range_past_end"
    CHUNKS_INVALID = "chunks_invalid"
    JOB_ID_INVALID = "job_id_invalid"
    JOB_ID_TAKEN = "job_id_taken"
    OUTPUT_EXISTS = "output_exists"
    OUTPUT_NOT_ALLOWED = "output_not_allowed"
    OUTPUT_UNWRITABLE = "output_unwritable"
    IMAGE_INVALID = "image_invalid"
    IMAGE_UNKNOWN = "image_unknown"
    IMAGE_PLATFORM = "image_platform"
    PLUGIN_UNKNOWN = "plugin_unknown"
    # the caller
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    # the moment
    STATE_CONFLICT = "state_conflict"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    # the worker's calls
    ATTEMPT_NOT_HELD = "attempt_not_held"
    ATTEMPT_OVER = "attempt_over"
    RECEIPT_INVALID = "receipt_invalid"
    WORKER_UNKNOWN = "worker_unknown"
    CLOCK_SKEW = "clock_skew"
    # bytes
    URL_EXPIRED = "url_expired"
    URL_INVALID = "url_invalid"
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable"
    OFFSET_CONFLICT = "offset_conflict"
    DIGEST_MISMATCH = "digest_mismatch"
    ALREADY_EXISTS = "already_exists"
    ADDRESS_FORBIDDEN = "address_forbidden"
    FETCH_FAILED = "fetch_failed"
    # the machine
    STORAGE_FULL = "storage_full"
    STORAGE_UNREACHABLE = "storage_unreachable"
    ENGINE_MISSING = "engine_missing"
    ENGINE_NOT_ALLOWED = "engine_not_allowed"
    SERVER_UNREACHABLE = "server_unreachable"
    SETTING_INVALID = "setting_invalid"


@dataclass(slots=True)
class Refusal(Exception):
    """Raised at the earliest door that can know. `message` is one sentence; `remedy` says what to do about it."""

    code: Code
    message: str
    remedy: str = ""
    details: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

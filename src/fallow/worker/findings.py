"""What a check of this machine found, in plain words."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    INFO = "info"  # good to know; nothing is wrong
    WARN = "warn"  # works, but less well than it could
    FAIL = "fail"  # a worker cannot work like this


@dataclass(frozen=True, slots=True)
class Finding:
    """remedy: what to do about it, a command where there is one; "" when nothing need be done."""

    check: str
    verdict: Verdict
    message: str
    remedy: str = ""


def ok(check: str, message: str) -> Finding:
    return Finding(check, Verdict.OK, message)


def info(check: str, message: str, remedy: str = "") -> Finding:
    return Finding(check, Verdict.INFO, message, remedy)


def warn(check: str, message: str, remedy: str = "") -> Finding:
    return Finding(check, Verdict.WARN, message, remedy)


def fail(check: str, message: str, remedy: str = "") -> Finding:
    return Finding(check, Verdict.FAIL, message, remedy)

"""Why an attempt did not end well, and whose fault it is. A value: a failed container is an outcome."""

from dataclasses import dataclass

from fallow.core.words import FailureClass


@dataclass(frozen=True, slots=True)
class Fault:
    """code, message: the same for the same fault; no times, ids or addresses, so that workers can agree.

    bad_item: the item of the job that is to blame, if one is known to be. keeps_answers: the answers before the fault
    are good and may be used.
    """

    failure_class: FailureClass
    code: str
    message: str
    bad_item: int | None = None
    exit_code: int | None = None
    keeps_answers: bool = True


def submitters(code: str, message: str, bad_item: int | None = None, exit_code: int | None = None) -> Fault:
    return Fault(FailureClass.SUBMITTER, code, message, bad_item, exit_code)


def workers(code: str, message: str) -> Fault:
    return Fault(FailureClass.WORKER, code, message)


def of_limits(code: str, message: str, bad_item: int | None = None) -> Fault:
    return Fault(FailureClass.LIMITS, code, message, bad_item)


def ours(code: str, message: str) -> Fault:
    return Fault(FailureClass.OURS, code, message)


def aborted(message: str) -> Fault:
    return Fault(FailureClass.ABORTED, "stopped", message)


def disk_full() -> Fault:
    return workers("disk_full", "The worker's disk is full.")


def seconds_said(seconds: float) -> str:
    """5.0 -> "5 s", 0.25 -> "0.25 s"."""
    return f"{seconds:g} s"


def bytes_said(count: int) -> str:
    """In whole MiB or KiB where that is exact, else in bytes."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit and count % unit == 0:
            return f"{count // unit} {name}"
    return f"{count} bytes"

"""What a job's own fault looks like to a Python program; what the server refuses is a Refusal."""

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class ItemError(Exception):
    """An item that could not be done: a value among the results, or raised. item: counted from 0."""

    item: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"item {self.item}: {self.code}: {self.message}"


@dataclass(slots=True)
class JobEnded(Exception):
    """The job was over before everything was answered. state: failed, cancelled or expired."""

    job_id: str
    state: str
    reason: str

    def __str__(self) -> str:
        return f"job {self.job_id} {self.state}" + (f": {self.reason}" if self.reason else "")


def error_of(item: int, output: Any) -> ItemError | None:
    """The item's error when its answer is an error line: an object whose first member is an `error` object."""
    if not isinstance(output, dict) or next(iter(output), None) != "error" or not isinstance(output["error"], dict):
        return None
    error = output["error"]
    return ItemError(item, str(error.get("code", "error")), str(error.get("message", "")))

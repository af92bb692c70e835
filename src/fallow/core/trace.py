"""The names of a chunk's trace: made from the chunk's own name, so that every process knows them and none keeps any.

W3C Trace Context: a trace id is 16 bytes, a span id 8, and `traceparent` is how they travel.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

PLAN = "plan"
_SAMPLED = "01"


@dataclass(frozen=True, slots=True)
class Timed:
    """What a worker says of one step of an attempt. Microseconds since the epoch, by the worker's clock."""

    name: str
    start: int
    end: int


@lru_cache(maxsize=4096)
def trace_id(job_id: str, chunk_id: int) -> int:
    """128 bits, never 0."""
    return int.from_bytes(hashlib.sha256(f"fallow trace {job_id} {chunk_id}".encode()).digest()[:16], "big") or 1


def span_id(job_id: str, chunk_id: int, name: str) -> int:
    """64 bits, never 0. name: of the span, unique in its trace: "plan", "attempt 31"."""
    return int.from_bytes(hashlib.sha256(f"fallow span {job_id} {chunk_id} {name}".encode()).digest()[:8], "big") or 1


def attempt_name(attempt_id: int) -> str:
    """The name by which an attempt's span gets its id."""
    return f"attempt {attempt_id}"


def traceparent(job_id: str, chunk_id: int, attempt_id: int) -> str:
    """What a lease carries: the attempt's span, to which the worker's steps belong."""
    span = span_id(job_id, chunk_id, attempt_name(attempt_id))
    return f"00-{trace_id(job_id, chunk_id):032x}-{span:016x}-{_SAMPLED}"


def is_sampled(job_id: str, chunk_id: int, ratio: float) -> bool:
    """Whether this chunk is among the `ratio` of all chunks that are traced: the same answer everywhere."""
    return trace_id(job_id, chunk_id) >> 64 < ratio * 2.0**64

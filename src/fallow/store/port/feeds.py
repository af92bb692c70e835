"""Rows of feeds: jobs whose input grows while they run."""

from dataclasses import dataclass
from typing import Protocol

from fallow.core.words import JobKey, Micros


@dataclass(frozen=True, slots=True)
class FeedRow:
    """parts: how many have come. size_bytes: of all of them. closed_at: no more will come."""

    job_key: JobKey
    parts: int
    size_bytes: int
    fed_at: Micros
    closed_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class FeedPart:
    """start: where the part begins in the whole input, in bytes."""

    number: int
    artifact_key: str
    start: int
    size_bytes: int


class FeedsTx(Protocol):
    """The verbs of feeds."""

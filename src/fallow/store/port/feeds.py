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
    """The verbs of feeds. Lock order: a feed before its job."""

    def add_feed(self, job_key: JobKey, now: Micros) -> None:
        """The job that was just added is a feed, and open."""
        ...

    def feed(self, job_key: JobKey) -> FeedRow | None: ...

    def locked_feed(self, job_key: JobKey) -> FeedRow | None:
        """The same, and nobody feeds or closes it until this transaction ends."""
        ...

    def add_feed_part(self, job_key: JobKey, number: int, artifact_key: str, size_bytes: int, now: Micros) -> bool:
        """Appends the part and lets the planner look again. False, and nothing written, unless it is the next number
        of an open feed."""
        ...

    def feed_part(self, job_key: JobKey, number: int) -> FeedPart | None: ...

    def feed_parts(self, job_key: JobKey, position: int, limit: int) -> list[FeedPart]:
        """In order, from the part that holds the byte `position` on."""
        ...

    def close_feed(self, job_key: JobKey, now: Micros) -> bool:
        """No more will come. False when it was closed before."""
        ...

    def rest_feed(self, job_key: JobKey) -> None:
        """All that has come is planned: until more comes, nobody needs to plan. Only with the feed locked."""
        ...

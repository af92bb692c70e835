"""A chapter of the story: the moves of one transaction, told once they are durable, by the process that made them.

Metrics, logs and traces are all made from chapters, so that they cannot differ from the rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from fallow.core.job import JobSpec
from fallow.core.words import AttemptId, ChunkId, JobKey, Micros

UNKNOWN = -1  # an age that nobody knows


class Move(NamedTuple):
    """One move. chunk_id, attempt_id: None where it is a job's, or a chunk's. from_state: "" for a birth. by: who.

    age_micros: how long it was in from_state; for a job, and for a job's first chunk, how long ago the job was
    submitted; UNKNOWN where nobody needs it. word: the failure class of an attempt that failed; "late" for an answer
    that was judged after its chunk was over; "" else.
    """

    at: Micros
    job_key: JobKey
    chunk_id: ChunkId | None
    attempt_id: AttemptId | None
    from_state: str
    to_state: str
    event: str
    cause: str
    by: str
    age_micros: int = UNKNOWN
    word: str = ""


@dataclass(slots=True)
class Chapter:
    """rows: the story's rows, as Move has them up to `by`. ages, words: of each row. spec_of: what a job asked for;
    None when it is not known any more. Columns and not Moves: there are eight a chunk, and most are only counted."""

    spec_of: Callable[[JobKey], JobSpec | None]
    rows: list[tuple[Micros, JobKey, ChunkId | None, AttemptId | None, str, str, str, str, str]] = field(
        default_factory=list
    )
    ages: list[int] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def moves(self) -> Iterator[Move]:
        """Each move as a value, in order."""
        for row, age, word in zip(self.rows, self.ages, self.words, strict=True):
            yield Move(*row, age, word)


class Witness(Protocol):
    """Hears of what happened. It is called by whichever thread made the moves, must be quick, and must not raise."""

    def heard(self, chapter: Chapter) -> None:
        """What a transaction did, after its commit."""
        ...


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Several as one."""

    each: Sequence[Witness]

    def heard(self, chapter: Chapter) -> None:
        """Tells every one."""
        for witness in self.each:
            witness.heard(chapter)

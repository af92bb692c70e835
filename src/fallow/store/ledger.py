"""What a transaction has done and writes down at its end: story rows, and what changed of the jobs' counters.

At the end, because a job's row is the one that all its workers want: it is locked for the commit alone, and always in
ascending order of job keys, so that two transactions never wait for each other.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from threading import Lock
from typing import Final

from fallow.core.chapter import UNKNOWN, Chapter
from fallow.core.job import JobSpec
from fallow.core.lifecycle import ATTEMPT_OVER
from fallow.core.progress import COUNTER_NAMES, Counters
from fallow.core.words import AttemptId, AttemptState, ChunkId, ChunkState, JobKey, Micros
from fallow.store.session import Row, Session

STORY_COLUMNS: Final = (
    "at",
    "job_key",
    "chunk_id",
    "attempt_id",
    "from_state",
    "to_state",
    "event",
    "cause",
    "by_whom",
)
SPECS_KEPT: Final = 2048

_PLACE: Final = {name: place for place, name in enumerate(COUNTER_NAMES)}
_GAUGES: Final = {
    AttemptState.QUEUED: "attempts_queued",
    AttemptState.LEASED: "attempts_leased",
    AttemptState.ERRORED: "attempts_errored",
    AttemptState.LOST: "attempts_lost",
    AttemptState.INVALID: "attempts_invalid",
}

# The places of the counters that an attempt, or a chunk, in this state is counted in.
OF_ATTEMPT: Final = {
    state: tuple(
        _PLACE[name]
        for name in (_GAUGES.get(state), "attempts_over" if state in ATTEMPT_OVER else None)
        if name is not None
    )
    for state in AttemptState
}
OF_CHUNK: Final = {state: _PLACE[f"chunks_{state}"] for state in ChunkState}
ATTEMPTS_ERRORED: Final = _PLACE["attempts_errored"]
ITEMS_TOTAL: Final = _PLACE["items_total"]
ITEMS_DONE: Final = _PLACE["items_done"]
ITEMS_ERROR: Final = _PLACE["items_error"]
ITEMS_FAILED: Final = _PLACE["items_failed"]

assert len(fields(Counters)) == len(COUNTER_NAMES)


@cache
def _plain(word: str) -> str:
    """The word of an enumeration as a plain string; there are some thirty."""
    return str.__str__(word)


class Specs:
    """Job specs by job key, decoded once: they never change. Safe to use from many threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[JobKey, JobSpec] = OrderedDict()
        self._lock = Lock()

    def get(self, job_key: JobKey) -> JobSpec | None:
        return self._kept.get(job_key)

    def keep(self, job_key: JobKey, spec: JobSpec) -> None:
        with self._lock:
            self._kept[job_key] = spec
            while len(self._kept) > SPECS_KEPT:
                self._kept.popitem(last=False)

    def forget(self, job_key: JobKey) -> None:
        with self._lock:
            self._kept.pop(job_key, None)


class Ledger:
    """Belongs to one transaction, used by one thread. chapter: what it did, as far as it is written down."""

    def __init__(self, session: Session, spec_of: Callable[[JobKey], JobSpec | None]) -> None:
        self._session = session
        self.chapter = Chapter(spec_of)
        self._story: list[Row] = []
        self._deltas: dict[JobKey, list[int]] = {}
        self._read: dict[JobKey, Row] = {}

    def tell(
        self,
        at: Micros,
        job_key: JobKey,
        chunk_id: ChunkId | None,
        attempt_id: AttemptId | None,
        from_state: str,
        to_state: str,
        event: str,
        cause: str,
        by: str,
        age_micros: int = UNKNOWN,
        word: str = "",
    ) -> None:
        """One move. age_micros, word: see core.chapter.Move."""
        # SQLite looks for an adapter for each value that is not exactly a str, which costs more than writing it.
        before, after, what = _plain(from_state), _plain(to_state), _plain(event)
        self._story.append((at, job_key, chunk_id, attempt_id, before, after, what, cause, by))
        self.chapter.ages.append(age_micros)
        self.chapter.words.append(word)

    def deltas(self, job_key: JobKey) -> list[int]:
        """What this transaction changed of the job's counters, by place; to be added to."""
        found = self._deltas.get(job_key)
        if found is None:
            found = self._deltas[job_key] = [0] * len(COUNTER_NAMES)
        return found

    def counters(self, job_key: JobKey) -> Counters:
        """The job's counters with what this transaction changed of them.

        On PostgreSQL without what others are changing at this moment."""
        row = self._read.get(job_key)
        if row is None:
            row = self._session.one("counters", {"job_key": job_key})
            if row is None:
                return Counters()
            self._read[job_key] = row
        deltas = self._deltas.get(job_key)
        return Counters(*row) if deltas is None else Counters(*map(int.__add__, row, deltas))

    def flush(self) -> None:
        """Writes down what there is."""
        for job_key in sorted(self._deltas):
            deltas = self._deltas[job_key]
            if any(deltas):
                changed = dict(zip(COUNTER_NAMES, deltas, strict=True))
                self._session.run("add_to_counters", {"job_key": job_key, **changed})
        self._deltas.clear()
        self._read.clear()
        if self._story:
            story, self._story = self._story, []
            self._session.many("insert_story", STORY_COLUMNS, story)
            self.chapter.rows.extend(story)

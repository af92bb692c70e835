"""The smallest thing that applies changes: chunks and attempts in memory, moved through the real tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fallow.core.changes import Change, CutChunk, MoveAttempt, MoveChunk, QueueAttempts
from fallow.core.chunk import Attempt, Case, Chunk
from fallow.core.job import RetryPolicy
from fallow.core.lifecycle import AttemptEvent, ChunkEvent, attempt_after, chunk_after
from fallow.core.transition import next_changes
from fallow.core.words import AttemptId, ChunkId, ChunkState, Micros
from tests.core.making import NOW


@dataclass
class Rows:
    """Raises IllegalMove when a decision asks for a move that is not in the tables."""

    chunks: dict[ChunkId, Chunk] = field(default_factory=dict)
    attempts: dict[AttemptId, Attempt] = field(default_factory=dict)
    children: dict[ChunkId, list[ChunkId]] = field(default_factory=dict)
    steps: int = 0

    @classmethod
    def of(cls, case: Case) -> "Rows":
        """The rows of one case."""
        return cls({case.chunk.chunk_id: case.chunk}, {each.attempt_id: each for each in case.attempts})

    def case(self, chunk_id: ChunkId) -> Case:
        """The chunk with its attempts, oldest first."""
        mine = [a for a in self.attempts.values() if a.chunk_id == chunk_id]
        return Case(self.chunks[chunk_id], sorted(mine, key=lambda a: a.attempt_id))

    def settle(self, retry: RetryPolicy, now: Micros = NOW) -> None:
        """Ask and apply until no chunk needs anything."""
        restless = True
        while restless:
            restless = False
            for chunk_id in list(self.chunks):
                changes = next_changes(self.case(chunk_id), retry, now)
                restless = restless or bool(changes)
                self.apply(changes)

    def apply(self, changes: Sequence[Change]) -> None:
        """Make these moves, in order."""
        for change in changes:
            self.steps += 1
            assert self.steps < 20_000, "no fixed point in sight"
            match change:
                case MoveChunk():
                    self._move_chunk(change)
                case MoveAttempt():
                    old = self.attempts[change.attempt_id]
                    self.attempts[old.attempt_id] = replace(old, state=attempt_after(old.state, change.event))
                case QueueAttempts():
                    for _ in range(change.count):
                        self.add_attempt(change.chunk_id, AttemptEvent.QUEUE)
                case CutChunk():
                    self._cut(change)

    def add_attempt(self, chunk_id: ChunkId, birth: AttemptEvent) -> AttemptId:
        """A new attempt, born by this event."""
        number = AttemptId(max(self.attempts, default=0) + 1)
        job_key = self.chunks[chunk_id].job_key
        self.attempts[number] = Attempt(number, job_key, chunk_id, attempt_after(None, birth))
        return number

    def _move_chunk(self, change: MoveChunk) -> None:
        old = self.chunks[change.chunk_id]
        state = chunk_after(old.state, change.event)
        wanted = change.answers_wanted or old.answers_wanted
        self.chunks[old.chunk_id] = replace(
            old, state=state, fault=change.fault, canonical_id=change.canonical, answers_wanted=wanted
        )

    def _cut(self, change: CutChunk) -> None:
        parent = self.chunks[change.parent_id]
        assert parent.state is ChunkState.SPLIT
        number = ChunkId(max(self.chunks) + 1)
        born = chunk_after(chunk_after(None, ChunkEvent.PLAN), ChunkEvent.OPEN)
        self.chunks[number] = Chunk(
            job_key=change.job_key,
            chunk_id=number,
            state=born,
            version=1,
            item_start=change.item_start,
            item_count=change.item_count,
            extent=change.extent,
            answers_wanted=change.answers_wanted,
            prior_errors=change.prior_errors,
            parent_id=change.parent_id,
        )
        self.children.setdefault(change.parent_id, []).append(number)
        if change.salvage is not None:
            assert self.attempts[change.salvage].items_done == change.item_count
            self.add_attempt(number, AttemptEvent.SALVAGE)

"""Any moves in any order: those that the tables allow are made, the others change nothing, and the books balance."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fallow.core.changes import Change, CutChunk, MoveAttempt, MoveChunk, QueueAttempts
from fallow.core.chunk import Answer, Extent
from fallow.core.lifecycle import AttemptEvent, ChunkEvent, IllegalMove
from fallow.core.words import AttemptId, ChunkId, Micros, WorkerId
from fallow.store.audit import problems
from fallow.store.opening import open_store
from tests.store.yard import LEASE, T0, Yard, answer

CHUNKS = 3
chunk_ids = st.integers(0, CHUNKS + 3).map(ChunkId)
attempt_ids = st.integers(1, 12).map(AttemptId)
attempt_events = st.sampled_from([each for each in AttemptEvent if each not in ("queue", "salvage", "lease")])
chunk_events = st.sampled_from([each for each in ChunkEvent if each != "split"])  # split() makes the pieces too


class AnyMoves(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = open_store("sqlite::memory:")
        self.store.migrate()
        self.yard = Yard(self.store)
        self.job = self.yard.job(CHUNKS, 1, quorum=2)

    def teardown(self) -> None:
        self.store.close()

    def attempt(self, *changes: Change) -> None:
        before = self.yard.row(self.job)
        try:
            self.yard.apply(*changes)
        except IllegalMove:
            assert self.yard.row(self.job) == before

    @rule(worker=st.sampled_from("abc"), limit=st.integers(1, 3))
    def lease(self, worker: str, limit: int) -> None:
        leased = self.yard.lease(self.job, worker, limit)
        assert len({each.chunk_id for each in leased}) == len(leased)

    @rule(count=st.integers(1, 2))
    def open(self, count: int) -> None:
        self.yard.open(self.job, count)

    @rule(attempt_id=attempt_ids, event=attempt_events, errors=st.integers(0, 3))
    def move_attempt(self, attempt_id: AttemptId, event: AttemptEvent, errors: int) -> None:
        brought: Answer | None = answer(attempt_id, errors) if event is AttemptEvent.REPORT else None
        self.attempt(MoveAttempt(attempt_id, event, "any", brought))

    @rule(chunk_id=chunk_ids, event=chunk_events, canonical=st.none() | attempt_ids)
    def move_chunk(self, chunk_id: ChunkId, event: ChunkEvent, canonical: AttemptId | None) -> None:
        self.attempt(MoveChunk(self.job.job_key, chunk_id, event, "any", canonical))

    @rule(chunk_id=chunk_ids, pieces=st.integers(1, 2))
    def split(self, chunk_id: ChunkId, pieces: int) -> None:
        """The pieces cover the parent's items, as next_changes makes them."""
        with self.store.reading() as tx:
            row = tx.chunk_row(self.job.job_key, chunk_id)
        if row is None or row.case.chunk.item_count < pieces:
            return
        chunk = row.case.chunk
        counts = [1] * (pieces - 1) + [chunk.item_count - pieces + 1]
        starts = [chunk.item_start + sum(counts[:n]) for n in range(pieces)]
        cuts = [
            CutChunk(self.job.job_key, chunk_id, start, count, Extent(0, 9))
            for start, count in zip(starts, counts, strict=True)
        ]
        self.attempt(MoveChunk(self.job.job_key, chunk_id, ChunkEvent.SPLIT), *cuts)

    @rule(chunk_id=chunk_ids)
    def queue(self, chunk_id: ChunkId) -> None:
        self.attempt(QueueAttempts(self.job.job_key, chunk_id, 1))

    @rule(limit=st.integers(1, 2))
    def cancel(self, limit: int) -> None:
        with self.store.transaction() as tx:
            tx.cancel_chunks(self.job.job_key, limit, T0, "any")

    @rule(limit=st.integers(1, 2))
    def reopen(self, limit: int) -> None:
        with self.store.transaction() as tx:
            tx.reopen_chunks(self.job.job_key, limit, T0, "any")

    @rule()
    def look(self) -> None:
        with self.store.transaction() as tx:
            tx.late_answers(9)
            tx.claim_verifying("any", 9, T0, LEASE)
            tx.extend(WorkerId("a"), tx.held(WorkerId("a")), Micros(LEASE + 1))

    @invariant()
    def the_books_balance(self) -> None:
        with self.store.reading() as tx:
            assert problems(tx, self.job.job_key) == []


AnyMoves.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestAnyMoves = AnyMoves.TestCase

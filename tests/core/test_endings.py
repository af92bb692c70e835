"""Whatever workers do, every chunk ends, and its items end once."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from fallow.core.agreement import consensus
from fallow.core.changes import Change, MoveAttempt, MoveChunk
from fallow.core.chunk import Answer, Chunk
from fallow.core.job import RetryPolicy
from fallow.core.lifecycle import ATTEMPT_OVER, CHUNK_OVER, AttemptEvent, ChunkEvent, attempt_after
from fallow.core.words import AttemptId, AttemptState, ChunkState, FailureClass, Micros
from tests.core.making import ARTIFACT, NOW, case, chunk
from tests.core.rows import Rows
from tests.core.test_bisection import items_in, report

LATER = Micros(NOW + 1)
TRUTH = 0


class World:
    """Chunks, workers that do what the test draws, and a verifier that sees through bad bytes but not through lies."""

    def __init__(self, of: Chunk, quorum: int, retry: RetryPolicy, data: st.DataObject) -> None:
        self.rows = Rows.of(case(of))
        self.said: dict[AttemptId, int | None] = {}  # what an answer says; None: its bytes are bad
        self.quorum = quorum
        self.retry = retry
        self.data = data
        self.patience = 12  # how often the world may stop or fail by nobody's fault

    def run(self) -> None:
        """Until nothing is queued."""
        self.settle()
        while queued := [a for a in self.rows.attempts.values() if a.state is AttemptState.QUEUED]:
            self._act(queued[0].attempt_id)
            self._deliver_late()
            self.settle()

    def settle(self) -> None:
        """Decide and verify until nothing moves."""
        self.rows.settle(self.retry, LATER)
        while waiting := [c for c in self.rows.chunks.values() if c.state is ChunkState.VERIFYING]:
            for each in waiting:
                self.rows.apply(self._verdict(each))
            self.rows.settle(self.retry, LATER)

    def _act(self, number: AttemptId) -> None:
        free = ["ours", "aborted"] if self.patience else []
        what = self.data.draw(st.sampled_from(["truth", "truth", "lie", "junk", "lost", "died", "broken", *free]))
        blamed = {"died": FailureClass.SUBMITTER, "broken": FailureClass.WORKER, "ours": FailureClass.OURS}
        if what in ("ours", "aborted"):
            self.patience -= 1
        if what in blamed:
            self._fail(number, blamed[what])
        elif what == "lost":
            self._move(number, AttemptEvent.LEASE)
            old = self.rows.attempts[number]
            self.rows.attempts[number] = replace(old, deadline=NOW)
        elif what == "aborted":
            self._move(number, AttemptEvent.LEASE)
            self._move(number, AttemptEvent.ABORT)
        else:
            self.said[number] = {"truth": TRUTH, "lie": int(number), "junk": None}[what]
            report(self.rows, number, Answer(artifact=ARTIFACT))

    def _fail(self, number: AttemptId, blame: FailureClass) -> None:
        of = self.rows.chunks[self.rows.attempts[number].chunk_id]
        done = self.data.draw(st.integers(0, of.item_count))
        bad = self.data.draw(st.none() | st.integers(of.item_start, of.item_end))
        report(self.rows, number, Answer(failure_class=blame, code="c", message="m", items_done=done, bad_item=bad))

    def _deliver_late(self) -> None:
        """Some of those that were given up arrive after all."""
        for each in [a for a in self.rows.attempts.values() if a.state is AttemptState.LOST]:
            if self.data.draw(st.booleans()):
                self.said[each.attempt_id] = TRUTH
                self._move(each.attempt_id, AttemptEvent.REPORT)

    def _move(self, number: AttemptId, event: AttemptEvent) -> None:
        old = self.rows.attempts[number]
        self.rows.attempts[number] = replace(old, state=attempt_after(old.state, event))

    def _verdict(self, of: Chunk) -> list[Change]:
        answers = [a for a in self.rows.case(of.chunk_id).attempts if a.state is AttemptState.REPORTED]
        good = [a for a in answers if self.said[a.attempt_id] is not None]
        bad: list[Change] = [MoveAttempt(a.attempt_id, AttemptEvent.DISAGREE) for a in answers if a not in good]
        found = consensus(good, self.quorum, lambda a, b: self.said[a.attempt_id] == self.said[b.attempt_id])
        if found.canonical is None:
            wanted = self.quorum if len(good) < self.quorum else len(good) + 1
            return [*bad, MoveChunk(of.job_key, of.chunk_id, ChunkEvent.MORE, answers_wanted=wanted)]
        agree = [MoveAttempt(each, AttemptEvent.AGREE) for each in found.agreeing]
        differ = [MoveAttempt(each, AttemptEvent.DISAGREE) for each in found.differing]
        accept = MoveChunk(of.job_key, of.chunk_id, ChunkEvent.ACCEPT, canonical=found.canonical)
        return [*bad, *agree, *differ, accept]


@given(
    items=st.integers(1, 8),
    quorum=st.integers(1, 3),
    max_errors=st.integers(1, 4),
    max_attempts=st.integers(3, 8),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_every_chunk_ends_and_every_item_ends_once(
    items: int, quorum: int, max_errors: int, max_attempts: int, data: st.DataObject
) -> None:
    retry = RetryPolicy(max_errors, max_attempts)
    world = World(chunk(items, start=0, wanted=quorum), quorum, retry, data)
    world.run()
    rows = world.rows
    assert {each.state for each in rows.chunks.values()} <= CHUNK_OVER
    assert sorted(items_in(rows, ChunkState.DONE) + items_in(rows, ChunkState.FAILED)) == list(range(items))
    late = {AttemptState.LOST, AttemptState.REPORTED}  # no answer that was needed
    assert {each.state for each in rows.attempts.values()} <= ATTEMPT_OVER | late
    for each in rows.chunks.values():
        if each.state is ChunkState.DONE and quorum > 1:
            assert each.canonical_id is not None
            assert world.said[each.canonical_id] == TRUTH
        if each.state is ChunkState.FAILED:
            assert each.fault is not None

"""Bad items are found by running smaller and smaller pieces: exactly they fail, whatever the image says of itself."""

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from fallow.core.changes import MoveAttempt, MoveChunk
from fallow.core.chunk import Answer, Chunk
from fallow.core.job import RetryPolicy
from fallow.core.lifecycle import AttemptEvent, ChunkEvent, attempt_after
from fallow.core.words import AttemptId, AttemptState, ChunkState, FailureClass
from tests.core.making import ARTIFACT, case, chunk
from tests.core.rows import Rows


@dataclass(frozen=True)
class Image:
    """Dies at a bad item. batch: items read before the first of their answers is written. blames: "true" the bad item,
    "first" the first without an answer (all that a contract can see), "nobody"; "mute": not even finished answers."""

    bad: frozenset[int]
    batch: int
    blames: str
    blame: FailureClass = FailureClass.SUBMITTER

    def run(self, of: Chunk) -> Answer:
        """What the worker reports of this chunk."""
        culprit = next((n for n in range(of.item_start, of.item_end + 1) if n in self.bad), None)
        if culprit is None:
            return Answer(artifact=ARTIFACT)
        done = (culprit - of.item_start) // self.batch * self.batch
        if self.blames == "mute":
            return Answer(failure_class=self.blame, code="exit_code", message="It died.")
        bad_item = {"true": culprit, "first": of.item_start + done, "nobody": None}[self.blames]
        return Answer(
            failure_class=self.blame,
            code="exit_code",
            message="It died.",
            items_done=done,
            bad_item=bad_item,
            artifact=ARTIFACT if done else None,
        )


def report(rows: Rows, number: AttemptId, answer: Answer) -> None:
    """Lease the attempt and bring back its answer."""
    leased = replace(rows.attempts[number], state=attempt_after(AttemptState.QUEUED, AttemptEvent.LEASE))
    failed = answer.failure_class is not None
    rows.attempts[number] = replace(
        leased,
        state=attempt_after(leased.state, AttemptEvent.FAIL if failed else AttemptEvent.REPORT),
        failure_class=answer.failure_class,
        code=answer.code,
        message=answer.message,
        items_done=answer.items_done,
        bad_item=answer.bad_item,
        artifact=answer.artifact,
    )


def verify_all(rows: Rows) -> None:
    """A verifier that finds every answer good."""
    for of in [each for each in rows.chunks.values() if each.state is ChunkState.VERIFYING]:
        answers = [a for a in rows.case(of.chunk_id).attempts if a.state is AttemptState.REPORTED]
        agree = [MoveAttempt(a.attempt_id, AttemptEvent.AGREE) for a in answers]
        accept = MoveChunk(of.job_key, of.chunk_id, ChunkEvent.ACCEPT, canonical=answers[0].attempt_id)
        rows.apply([*agree, accept])


def run_to_the_end(of: Chunk, image: Image, retry: RetryPolicy, interruptions: int) -> Rows:
    """Workers run whatever is queued until nothing is. The first `interruptions` attempts end by nobody's fault."""
    rows = Rows.of(case(of))
    rows.settle(retry)
    while queued := [a for a in rows.attempts.values() if a.state is AttemptState.QUEUED]:
        answer = image.run(rows.chunks[queued[0].chunk_id])
        if interruptions:
            interruptions -= 1
            answer = Answer(failure_class=FailureClass.OURS, code="storage_unreachable", message="It was away.")
        report(rows, queued[0].attempt_id, answer)
        rows.settle(retry)
        verify_all(rows)
        rows.settle(retry)
    return rows


def items_in(rows: Rows, state: ChunkState) -> list[int]:
    """The items of all chunks in this state, with repetitions."""
    over = [each for each in rows.chunks.values() if each.state is state]
    return sorted(n for each in over for n in range(each.item_start, each.item_end + 1))


@given(
    items=st.integers(1, 60),
    bad=st.sets(st.integers(0, 59), max_size=8),
    batch=st.sampled_from([1, 2, 3, 8, 32, 100]),
    blames=st.sampled_from(["true", "first", "nobody", "mute"]),
    blame=st.sampled_from([FailureClass.SUBMITTER, FailureClass.LIMITS]),
    wanted=st.integers(1, 2),
    max_errors=st.integers(1, 4),
    interruptions=st.integers(0, 10),
)
@settings(max_examples=300, deadline=None)
def test_exactly_the_bad_items_fail(
    items: int,
    bad: set[int],
    batch: int,
    blames: str,
    blame: FailureClass,
    wanted: int,
    max_errors: int,
    interruptions: int,
) -> None:
    of = chunk(items, start=0, wanted=wanted)
    image = Image(frozenset(bad), batch, blames, blame)
    rows = run_to_the_end(of, image, RetryPolicy(max_errors=max_errors), interruptions)
    expected = sorted(n for n in bad if n < items)
    assert items_in(rows, ChunkState.FAILED) == expected
    assert items_in(rows, ChunkState.DONE) == [n for n in range(items) if n not in bad]
    assert all(
        each.fault is not None and each.fault.code == "exit_code"
        for each in rows.chunks.values()
        if each.state is ChunkState.FAILED
    )


def test_three_bad_items_among_five_thousand_cost_few_runs() -> None:
    """An image that names no culprit and works in batches of 32."""
    of = chunk(5000, start=0)
    image = Image(frozenset({17, 2500, 4999}), 32, "nobody")
    rows = run_to_the_end(of, image, RetryPolicy(), 0)
    assert items_in(rows, ChunkState.FAILED) == [17, 2500, 4999]
    assert len(rows.attempts) < 200


def test_an_item_that_is_named_costs_three_runs_in_all() -> None:
    """Once in company, and then by itself until max_errors; everything else runs once."""
    of = chunk(1000, start=0)
    rows = run_to_the_end(of, Image(frozenset({500}), 1, "true"), RetryPolicy(max_errors=3), 0)
    failures = [a for a in rows.attempts.values() if a.state is AttemptState.ERRORED]
    assert len(failures) == 3
    assert len(rows.chunks) == 4

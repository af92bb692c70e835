"""What happens to a chunk next, case by case."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallow.core.changes import Change, CutChunk, MoveAttempt, MoveChunk, QueueAttempts
from fallow.core.chunk import Attempt, Case, Chunk, Extent
from fallow.core.job import RetryPolicy
from fallow.core.lifecycle import CHUNK_OVER, AttemptEvent, ChunkEvent
from fallow.core.transition import next_changes
from fallow.core.words import AttemptId, ChunkId, ChunkState
from fallow.core.words import AttemptState as A
from fallow.core.words import FailureClass as F
from tests.core.making import ARTIFACT, JOB, NOW, attempt, case, chunk, errored
from tests.core.rows import Rows

RETRY = RetryPolicy()
QUEUE_ONE = [QueueAttempts(JOB, ChunkId(7), 1)]


def test_a_new_chunk_gets_as_many_attempts_as_it_wants_answers() -> None:
    assert next_changes(case(chunk(wanted=3)), RETRY, NOW) == [QueueAttempts(JOB, ChunkId(7), 3)]


def test_attempts_that_are_under_way_are_waited_for() -> None:
    assert next_changes(case(chunk(wanted=2), attempt(1, A.QUEUED), attempt(2, A.LEASED)), RETRY, NOW) == []


@pytest.mark.parametrize(("deadline", "late"), [(NOW - 1, True), (NOW, True), (NOW + 1, False)])
def test_a_lease_ends_at_its_deadline(deadline: int, late: bool) -> None:
    changes = next_changes(case(chunk(), attempt(1, A.LEASED, deadline=deadline)), RETRY, NOW)
    assert [getattr(each, "event", None) for each in changes] == ([AttemptEvent.EXPIRE] if late else [])


@pytest.mark.parametrize("state", list(ChunkState))
def test_a_late_lease_expires_whatever_its_chunk_is(state: ChunkState) -> None:
    late = attempt(1, A.LEASED, deadline=NOW)
    changes = next_changes(case(chunk(state=state), late), RETRY, NOW)
    cause = f"{late.worker_id} was silent past the lease"
    assert changes == [MoveAttempt(AttemptId(1), AttemptEvent.EXPIRE, cause)]


@pytest.mark.parametrize("state", [each for each in ChunkState if each is not ChunkState.OPEN])
def test_only_an_open_chunk_is_moved(state: ChunkState) -> None:
    assert next_changes(case(chunk(state=state), attempt(1, A.REPORTED)), RETRY, NOW) == []


def test_a_lost_attempt_is_replaced() -> None:
    assert next_changes(case(chunk(), attempt(1, A.LOST)), RETRY, NOW) == QUEUE_ONE


@pytest.mark.parametrize("answers", [1, 2])
def test_verification_waits_for_the_quorum(answers: int) -> None:
    answered = [attempt(n, A.REPORTED) for n in range(1, answers + 1)]
    changes = next_changes(case(chunk(wanted=2), *answered), RETRY, NOW)
    assert changes == (
        QUEUE_ONE if answers == 1 else [MoveChunk(JOB, ChunkId(7), ChunkEvent.VERIFY, "2 answers are in")]
    )


def test_a_late_answer_makes_the_extra_attempt_superfluous() -> None:
    """The chunk is verified at once; the queued twin is dropped when the chunk is over."""
    changes = next_changes(case(chunk(), attempt(1, A.REPORTED), attempt(2, A.QUEUED)), RETRY, NOW)
    assert changes == [MoveChunk(JOB, ChunkId(7), ChunkEvent.VERIFY, "the answer is in")]


@pytest.mark.parametrize("state", sorted(CHUNK_OVER))
def test_what_is_still_out_for_a_chunk_that_is_over_is_taken_back(state: ChunkState) -> None:
    """BOINC: DIDNT_NEED. A late answer made them superfluous."""
    out = [attempt(1, A.VALID), attempt(2, A.QUEUED), attempt(3, A.LEASED, deadline=NOW + 1), attempt(4, A.LOST)]
    assert next_changes(case(chunk(state=state), *out), RETRY, NOW) == [
        MoveAttempt(AttemptId(2), AttemptEvent.DROP, "not needed any more"),
        MoveAttempt(AttemptId(3), AttemptEvent.ABORT, "not needed any more"),
    ]


def test_what_is_out_while_answers_are_compared_stays_out() -> None:
    """They may not agree."""
    out = [attempt(1, A.REPORTED), attempt(2, A.QUEUED), attempt(3, A.LEASED, deadline=NOW + 1)]
    assert next_changes(case(chunk(state=ChunkState.VERIFYING), *out), RETRY, NOW) == []


def test_invalid_answers_do_not_count_towards_the_quorum() -> None:
    assert next_changes(case(chunk(), attempt(1, A.INVALID)), RETRY, NOW) == QUEUE_ONE


@pytest.mark.parametrize("blame", [F.WORKER, F.ABORTED, F.OURS])
def test_what_is_not_the_items_fault_is_tried_again_whole(blame: F) -> None:
    assert next_changes(case(chunk(), errored(1, blame)), RETRY, NOW) == QUEUE_ONE


@pytest.mark.parametrize("blame", [F.ABORTED, F.OURS])
def test_what_is_nobodys_fault_never_uses_up_the_tries(blame: F) -> None:
    failures = [errored(n, blame) for n in range(1, 41)]
    assert next_changes(case(chunk(1), *failures), RETRY, NOW) == QUEUE_ONE


@pytest.mark.parametrize("state", [A.DROPPED, A.ABORTED])
def test_attempts_that_were_called_off_never_use_up_the_tries(state: A) -> None:
    assert next_changes(case(chunk(1), *(attempt(n, state) for n in range(1, 41))), RETRY, NOW) == QUEUE_ONE


def failure_of(changes: list[Change]) -> tuple[str, str]:
    """Code and message of the fault with which the chunk fails."""
    (last,) = [each for each in changes if isinstance(each, MoveChunk)]
    assert last.event is ChunkEvent.FAIL
    assert last.fault is not None
    return last.fault.code, last.fault.message


@pytest.mark.parametrize("blame", [F.SUBMITTER, F.WORKER, F.LIMITS])
def test_three_errors_end_a_single_item(blame: F) -> None:
    two = [errored(1, blame), errored(2, blame)]
    assert next_changes(case(chunk(1), *two), RETRY, NOW) == QUEUE_ONE
    changes = next_changes(case(chunk(1), *two, errored(3, blame)), RETRY, NOW)
    assert failure_of(changes) == ("code_3", "Message 3.")


def test_the_submitters_failure_says_most() -> None:
    failures = [errored(1, F.LIMITS), errored(2, F.WORKER), errored(3, F.WORKER)]
    assert failure_of(next_changes(case(chunk(1), *failures), RETRY, NOW)) == ("code_1", "Message 1.")


def test_invalid_answers_count_as_errors() -> None:
    bad = [attempt(n, A.INVALID) for n in (1, 2, 3)]
    assert failure_of(next_changes(case(chunk(), *bad), RETRY, NOW))[0] == "not_verified"


def test_worker_failures_end_a_whole_chunk_without_a_split() -> None:
    failures = [errored(n, F.WORKER) for n in (1, 2, 3)]
    changes = next_changes(case(chunk(10), *failures), RETRY, NOW)
    assert failure_of(changes) == ("code_3", "Message 3.")
    assert len(changes) == 1


def test_six_silent_workers_end_a_chunk() -> None:
    lost = [attempt(n, A.LOST) for n in range(1, 7)]
    assert next_changes(case(chunk(), *lost[:5]), RETRY, NOW) == QUEUE_ONE
    assert failure_of(next_changes(case(chunk(), *lost), RETRY, NOW)) == (
        "too_many_attempts",
        "No worker finished this piece in 6 attempts.",
    )


def test_answers_that_do_not_agree_end_a_chunk() -> None:
    answers = [attempt(n, A.REPORTED) for n in range(1, 7)]
    assert failure_of(next_changes(case(chunk(wanted=7), *answers), RETRY, NOW))[0] == "no_agreement"


def test_one_answer_alone_disagrees_with_nobody() -> None:
    attempts = [attempt(1, A.REPORTED), *(attempt(n, A.LOST) for n in range(2, 7))]
    assert failure_of(next_changes(case(chunk(wanted=2), *attempts), RETRY, NOW)) == (
        "too_many_attempts",
        "Too few workers finished this piece in 6 attempts.",
    )


def test_no_more_attempts_are_queued_than_the_policy_allows() -> None:
    """Two are missing, one is left: the quorum cannot be had any more."""
    lost = [attempt(n, A.LOST) for n in range(1, 6)]
    assert failure_of(next_changes(case(chunk(wanted=2), *lost), RETRY, NOW))[0] == "too_many_attempts"


def test_a_lease_in_flight_keeps_a_chunk_from_failing() -> None:
    failures = [errored(n, F.WORKER) for n in (1, 2, 3)]
    assert next_changes(case(chunk(wanted=2), *failures, attempt(4, A.LEASED)), RETRY, NOW) == []


def test_queued_attempts_of_a_failing_chunk_are_dropped() -> None:
    failures = [errored(n, F.WORKER) for n in (1, 2, 3)]
    changes = next_changes(case(chunk(wanted=2), *failures, attempt(4, A.QUEUED)), RETRY, NOW)
    assert changes[0] == MoveAttempt(AttemptId(4), AttemptEvent.DROP, "not needed any more")
    assert failure_of(changes)[0] == "code_3"


def pieces(changes: list[Change]) -> list[tuple[int, int]]:
    return [(each.item_start, each.item_count) for each in changes if isinstance(each, CutChunk)]


@pytest.mark.parametrize(
    ("done", "bad", "expected"),
    [
        (0, None, [(100, 5), (105, 5)]),
        (0, 100, [(100, 5), (105, 5)]),
        (0, 103, [(100, 3), (103, 1), (104, 6)]),
        (4, None, [(100, 4), (104, 1), (105, 5)]),
        (4, 104, [(100, 4), (104, 1), (105, 5)]),
        (4, 107, [(100, 4), (104, 3), (107, 1), (108, 2)]),
        (9, 109, [(100, 9), (109, 1)]),
        (10, None, [(100, 5), (105, 5)]),
    ],
)
@pytest.mark.parametrize("blame", [F.SUBMITTER, F.LIMITS])
def test_a_failing_chunk_is_split(blame: F, done: int, bad: int | None, expected: list[tuple[int, int]]) -> None:
    changes = next_changes(case(chunk(10), errored(1, blame, done=done, bad=bad)), RETRY, NOW)
    assert changes[0] == MoveChunk(JOB, ChunkId(7), ChunkEvent.SPLIT, "code_1: Message 1.")
    assert pieces(changes) == expected


def cut(changes: list[Change], start: int) -> CutChunk:
    (found,) = [each for each in changes if isinstance(each, CutChunk) and each.item_start == start]
    return found


def test_a_piece_knows_its_place_in_the_extent() -> None:
    changes = next_changes(case(chunk(10, skip=3), errored(1, F.SUBMITTER, done=4, bad=104)), RETRY, NOW)
    assert cut(changes, 105).extent == Extent(1000, 500, 8, "ab")
    assert cut(changes, 100).extent == Extent(1000, 500, 3, "ab")


def test_the_finished_head_is_kept_when_its_bytes_came_along() -> None:
    with_bytes = errored(1, F.SUBMITTER, done=4, bad=104, artifact=ARTIFACT)
    without = errored(1, F.SUBMITTER, done=4, bad=104)
    assert cut(next_changes(case(chunk(10), with_bytes), RETRY, NOW), 100).salvage == AttemptId(1)
    assert cut(next_changes(case(chunk(10), with_bytes), RETRY, NOW), 104).salvage is None
    assert cut(next_changes(case(chunk(10), without), RETRY, NOW), 100).salvage is None


def test_the_blamed_item_brings_its_error_along() -> None:
    changes = next_changes(case(chunk(10), errored(1, F.SUBMITTER, done=4, bad=104)), RETRY, NOW)
    assert [each.prior_errors for each in changes if isinstance(each, CutChunk)] == [0, 1, 0]
    nobody = next_changes(case(chunk(10), errored(1, F.SUBMITTER, done=4)), RETRY, NOW)
    assert [each.prior_errors for each in nobody if isinstance(each, CutChunk)] == [0, 0, 0]


def test_prior_errors_count_but_do_not_condemn_by_themselves() -> None:
    alone = chunk(1, prior=1)
    assert next_changes(case(alone), RetryPolicy(max_errors=1), NOW) == QUEUE_ONE
    once = next_changes(case(alone, errored(1, F.SUBMITTER)), RetryPolicy(max_errors=2), NOW)
    assert failure_of(once) == ("code_1", "Message 1.")


def test_pieces_want_as_many_answers_as_their_parent() -> None:
    changes = next_changes(case(chunk(10, wanted=2), errored(1, F.SUBMITTER)), RETRY, NOW)
    assert [each.answers_wanted for each in changes if isinstance(each, CutChunk)] == [2, 2]


def test_a_split_takes_back_what_was_handed_out() -> None:
    attempts = [errored(1, F.SUBMITTER), attempt(2, A.QUEUED), attempt(3, A.LEASED)]
    changes = next_changes(case(chunk(10, wanted=3), *attempts), RETRY, NOW)
    assert changes[:2] == [
        MoveAttempt(AttemptId(2), AttemptEvent.DROP, "not needed any more"),
        MoveAttempt(AttemptId(3), AttemptEvent.ABORT, "not needed any more"),
    ]


def test_a_chunk_that_somebody_answered_is_not_split_at_the_first_failure() -> None:
    attempts = [attempt(1, A.REPORTED), errored(2, F.SUBMITTER)]
    assert next_changes(case(chunk(10, wanted=2), *attempts), RETRY, NOW) == QUEUE_ONE


def test_a_chunk_that_somebody_answered_is_split_rather_than_given_up() -> None:
    """Ten items must not become ten error lines because of one."""
    attempts = [attempt(1, A.REPORTED), *(errored(n, F.SUBMITTER, done=4, bad=104) for n in (2, 3, 4))]
    assert pieces(next_changes(case(chunk(10, wanted=2), *attempts), RETRY, NOW)) == [(100, 4), (104, 1), (105, 5)]


@pytest.mark.parametrize("blame", [F.SUBMITTER, F.LIMITS])
def test_a_single_item_is_never_split(blame: F) -> None:
    assert next_changes(case(chunk(1), errored(1, blame, bad=100)), RETRY, NOW) == QUEUE_ONE


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any chunk with any attempts, sensible or not."""
    of = chunk(
        draw(st.integers(1, 40)),
        state=draw(st.sampled_from([ChunkState.OPEN] * 4 + list(ChunkState))),
        wanted=draw(st.integers(1, 4)),
        prior=draw(st.integers(0, 1)),
    )
    attempts = [draw(_attempts(number, of)) for number in range(1, 1 + draw(st.integers(0, 8)))]
    return Case(of, attempts)


@st.composite
def _attempts(draw: st.DrawFn, number: int, of: Chunk) -> Attempt:
    state = draw(st.sampled_from(A))
    return attempt(
        number,
        state,
        draw(st.sampled_from(F)) if state is A.ERRORED else None,
        deadline=draw(st.sampled_from([NOW - 1, NOW + 1])) if state is A.LEASED else None,
        done=draw(st.integers(-1, of.item_count + 1)),
        bad=draw(st.none() | st.integers(of.item_start - 1, of.item_end + 1)),
        artifact=draw(st.none() | st.just(ARTIFACT)),
    )


@given(cases(), st.integers(1, 4), st.integers(1, 8))
@settings(max_examples=400, deadline=None)
def test_it_comes_to_rest_and_pieces_cover_their_parent(of: Case, max_errors: int, max_attempts: int) -> None:
    rows = Rows.of(of)
    rows.settle(RetryPolicy(max_errors, max_attempts))
    for parent_id, children in rows.children.items():
        parent = rows.chunks[parent_id]
        items = [range(c.item_start, c.item_start + c.item_count) for c in map(rows.chunks.__getitem__, children)]
        assert [n for each in items for n in each] == list(range(parent.item_start, parent.item_end + 1))
        assert all(0 < len(each) < parent.item_count for each in items)
        for child in map(rows.chunks.__getitem__, children):
            assert child.extent.skip - parent.extent.skip == child.item_start - parent.item_start

"""A case carried forward in memory comes to the same rest as the rows do, step by step."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallow.core.changes import CutChunk, MoveAttempt, MoveChunk, QueueAttempts
from fallow.core.chunk import Answer, Case
from fallow.core.job import Compare, Input, JobSpec, Plugins, RetryPolicy, VerifyMethod, VerifyPolicy
from fallow.core.lifecycle import AttemptEvent, ChunkEvent
from fallow.core.settling import carry, settle, settle_stepwise
from fallow.core.words import AttemptId, AttemptState, ChunkState, FailureClass, InputFormat, JobId
from tests.core.making import ARTIFACT, NOW, attempt, case, chunk
from tests.core.rows import Rows
from tests.core.test_transition import cases

SPEC = JobSpec(JobId("job-1"), Input("file:///in.jsonl", InputFormat.JSONL))
QUORUM = replace(SPEC, verify=VerifyPolicy(VerifyMethod.QUORUM, 2, Compare.JSON))


def events(changes: object) -> list[str]:
    assert isinstance(changes, list)
    return [str(getattr(each, "event", type(each).__name__)) for each in changes]


def test_a_checked_answer_is_accepted_in_the_same_breath() -> None:
    of = case(chunk(), replace(attempt(1, AttemptState.REPORTED), checked=True))
    assert events(settle(of, SPEC, NOW)) == ["verify", "agree", "accept"]
    assert of.chunk.state is ChunkState.DONE
    assert of.chunk.canonical_id == AttemptId(1)
    assert [each.state for each in of.attempts] == [AttemptState.VALID]


@pytest.mark.parametrize(
    ("spec", "checked"),
    [(SPEC, False), (QUORUM, True), (replace(SPEC, plugins=Plugins(verifier="own")), True)],
    ids=["its bytes are elsewhere", "others must agree", "somebody else verifies"],
)
def test_what_needs_a_look_waits_for_the_verifier(spec: JobSpec, checked: bool) -> None:
    of = case(chunk(), replace(attempt(1, AttemptState.REPORTED), checked=checked))
    assert events(settle(of, spec, NOW)) == ["verify"]
    assert of.chunk.state is ChunkState.VERIFYING


def test_what_a_late_answer_made_superfluous_is_taken_back_in_the_same_breath() -> None:
    late = replace(attempt(1, AttemptState.REPORTED), checked=True)
    of = case(chunk(), late, attempt(2, AttemptState.LEASED, deadline=NOW + 1), attempt(3, AttemptState.QUEUED))
    assert events(settle(of, SPEC, NOW)) == ["verify", "agree", "accept", "abort", "drop"]


def test_an_expired_lease_is_replaced_in_the_same_breath() -> None:
    of = case(chunk(), attempt(1, AttemptState.LEASED, deadline=NOW))
    assert events(settle(of, SPEC, NOW)) == ["expire", "QueueAttempts"]


@given(cases(), st.integers(1, 4), st.integers(1, 8))
@settings(max_examples=200, deadline=None)
def test_it_rests_where_the_rows_rest(of: Case, max_errors: int, max_attempts: int) -> None:
    """For a job with a quorum, where nothing is accepted without a comparison."""
    retry = RetryPolicy(max_errors, max_attempts)
    rows = Rows.of(Case(of.chunk, list(of.attempts)))
    made = settle(of, replace(QUORUM, retry=retry), NOW)
    rows.apply(made)
    there = rows.case(of.chunk.chunk_id)
    assert of.chunk.state is there.chunk.state
    assert sorted(each.state for each in of.attempts) == sorted(each.state for each in there.attempts)
    assert settle(of, replace(QUORUM, retry=retry), NOW) == []


@given(cases(), st.booleans(), st.sampled_from([SPEC, QUORUM, replace(SPEC, plugins=Plugins(verifier="own"))]))
@settings(max_examples=300, deadline=None)
def test_the_short_way_leads_where_the_long_one_does(of: Case, checked: bool, spec: JobSpec) -> None:
    attempts = [replace(each, checked=checked and each.state is AttemptState.REPORTED) for each in of.attempts]
    short, long = Case(of.chunk, list(attempts)), Case(of.chunk, list(attempts))
    assert settle(short, spec, NOW) == settle_stepwise(long, spec, NOW)
    assert short == long


@pytest.mark.parametrize("spec", [SPEC, QUORUM])
@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("state", list(ChunkState))
@pytest.mark.parametrize("answered", list(AttemptState))
def test_the_short_way_is_taken_only_where_it_is_right(
    answered: AttemptState, state: ChunkState, checked: bool, spec: JobSpec
) -> None:
    only = replace(attempt(1, answered, deadline=NOW), checked=checked)
    short, long = case(chunk(state=state), only), case(chunk(state=state), only)
    assert settle(short, spec, NOW) == settle_stepwise(long, spec, NOW)
    assert short == long


def test_a_report_leaves_its_answer_with_the_attempt() -> None:
    of = case(chunk(), attempt(1, AttemptState.LEASED))
    answer = Answer(failure_class=FailureClass.SUBMITTER, code="exit_code", items_done=4, artifact=ARTIFACT)
    carry(of, [MoveAttempt(AttemptId(1), AttemptEvent.FAIL, answer=answer)])
    (failed,) = of.attempts
    assert (failed.state, failed.code, failed.items_done) == (AttemptState.ERRORED, "exit_code", 4)
    assert failed.artifact == ARTIFACT


def test_other_chunks_changes_are_passed_over() -> None:
    of = case(chunk())
    elsewhere = chunk().chunk_id + 1
    carry(of, [MoveChunk(of.chunk.job_key, type(of.chunk.chunk_id)(elsewhere), ChunkEvent.VERIFY)])
    carry(of, [QueueAttempts(of.chunk.job_key, type(of.chunk.chunk_id)(elsewhere), 1)])
    assert of == case(chunk())


def test_with_adaptive_replication_one_checked_answer_is_enough_while_one_is_wanted() -> None:
    adaptive = replace(QUORUM, verify=replace(QUORUM.verify, adaptive=True))
    checked = replace(attempt(1, AttemptState.REPORTED), checked=True)
    alone, doubted = case(chunk(), checked), case(replace(chunk(), answers_wanted=2), checked)
    assert events(settle(alone, adaptive, NOW)) == ["verify", "agree", "accept"]
    assert events(settle(doubted, adaptive, NOW)) == ["QueueAttempts"]


def test_pieces_of_a_chunk_want_what_the_chunk_needed() -> None:
    adaptive = replace(QUORUM, verify=replace(QUORUM.verify, adaptive=True, quorum=3))
    for wanted, pieces in ((1, {1}), (3, {3}), (5, {3})):
        failed = replace(attempt(1, AttemptState.ERRORED), failure_class=FailureClass.SUBMITTER)
        of = case(replace(chunk(), answers_wanted=wanted), failed)
        made = settle(of, adaptive, NOW)
        assert {each.answers_wanted for each in made if isinstance(each, CutChunk)} == pieces

"""BOINC's numbers: out of our states, and back from what a client reports."""

import pytest

from fallow.core.words import AttemptState, FailureClass
from fallow.protocols.boinc.request import parse_request
from fallow.protocols.boinc.states import (
    ClientState,
    Outcome,
    ServerState,
    ValidateState,
    exit_name,
    failure_of,
    triple_of,
)
from tests.protocols.boinc.recordings import WHOLE_CALLS, call

CODE_CHARS = set("abcdefghijklmnopqrstuvwxyz_")


@pytest.mark.parametrize("state", AttemptState)
def test_every_state_has_a_triple_that_boinc_could_have(state: AttemptState) -> None:
    triple = triple_of(state)
    assert (triple.server_state is ServerState.OVER) == (triple.outcome is not Outcome.INIT)
    assert triple.validate_state is ValidateState.INIT or triple.outcome is Outcome.SUCCESS
    assert (triple.outcome is Outcome.SUCCESS) == (triple.client_state is ClientState.UPLOADED)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (AttemptState.QUEUED, (2, 0, 0)),
        (AttemptState.LEASED, (4, 0, 0)),
        (AttemptState.REPORTED, (5, 1, 0)),
        (AttemptState.VALID, (5, 1, 1)),
        (AttemptState.INVALID, (5, 1, 2)),
        (AttemptState.ERRORED, (5, 3, 0)),
        (AttemptState.LOST, (5, 4, 0)),
        (AttemptState.DROPPED, (5, 5, 0)),
        (AttemptState.ABORTED, (5, 3, 0)),
    ],
)
def test_the_numbers(state: AttemptState, expected: tuple[int, int, int]) -> None:
    triple = triple_of(state)
    assert (int(triple.server_state), int(triple.outcome), int(triple.validate_state)) == expected


@pytest.mark.parametrize(
    ("client_state", "exit_status", "failure_class", "code"),
    [
        (6, 203, FailureClass.ABORTED, "stopped"),
        (6, 202, FailureClass.ABORTED, "stopped"),
        (6, 0, FailureClass.ABORTED, "stopped"),
        (6, 5, FailureClass.ABORTED, "stopped"),
        (3, 196, FailureClass.LIMITS, "disk_limit"),
        (3, 197, FailureClass.LIMITS, "chunk_timeout"),
        (3, 198, FailureClass.WORKER, "out_of_memory"),
        (3, 205, FailureClass.WORKER, "out_of_memory"),
        (6, 200, FailureClass.WORKER, "overdue"),
        (1, -186, FailureClass.WORKER, "download_failed"),
        (1, 2**32 - 186, FailureClass.WORKER, "download_failed"),  # as Windows says it
        (7, -187, FailureClass.WORKER, "upload_failed"),
        (7, 0, FailureClass.WORKER, "upload_failed"),
        (3, -131, FailureClass.WORKER, "answer_too_large"),
        (3, -161, FailureClass.WORKER, "answer_missing"),
        (3, -226, FailureClass.WORKER, "engine_error"),
        (3, 1, FailureClass.WORKER, "engine_error"),
        (3, 139, FailureClass.WORKER, "engine_error"),
        (3, -1073741819, FailureClass.WORKER, "engine_error"),
        (3, 0, FailureClass.WORKER, "answer_missing"),
        (5, 0, FailureClass.WORKER, "answer_missing"),
    ],
)
def test_what_a_client_reports(client_state: int, exit_status: int, failure_class: FailureClass, code: str) -> None:
    found = failure_of(client_state, exit_status)
    assert found[:2] == (failure_class, code)
    assert found[2].endswith(".")


def test_a_submitter_is_never_blamed_for_a_number() -> None:
    blamed = set()
    for client_state in range(9):
        for exit_status in (*range(-300, 300), 2**31 - 1, -(2**31), 2**32 - 1):
            failure_class, code, sentence = failure_of(client_state, exit_status)
            assert code
            assert set(code) <= CODE_CHARS
            assert sentence[0].isupper()
            assert not any(each.isdigit() for each in sentence), "the same fault has the same sentence"
            blamed.add(failure_class)
    assert blamed == {FailureClass.WORKER, FailureClass.LIMITS, FailureClass.ABORTED}


def test_numbers_have_boincs_names() -> None:
    assert (exit_name(203), exit_name(-186), exit_name(2**32 - 186)) == (
        "EXIT_ABORTED_VIA_GUI",
        "ERR_RESULT_DOWNLOAD",
        "ERR_RESULT_DOWNLOAD",
    )
    assert (exit_name(0), exit_name(1), exit_name(12345)) == ("", "", "")


def test_the_recorded_failures_are_known_by_name() -> None:
    failed = [each for name in WHOLE_CALLS for each in parse_request(call(name)).results if each.exit_status]
    assert {exit_name(each.exit_status) for each in failed} == {"ERR_TOO_MANY_EXITS", "ERR_RESULT_DOWNLOAD"}

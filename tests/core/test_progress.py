"""What a job's counters say."""

from dataclasses import fields

import pytest

from fallow.core.job import RetryPolicy
from fallow.core.progress import COUNTER_NAMES, HOPELESS_ERRORS, Counters, hopeless, too_many_errors
from fallow.core.words import ChunkState


def test_totals() -> None:
    counters = Counters(
        items_error=2,
        items_failed=3,
        chunks_planned=1,
        chunks_open=2,
        chunks_verifying=4,
        chunks_done=8,
        chunks_failed=16,
        chunks_cancelled=32,
        chunks_split=64,
    )
    assert counters.chunks_total == 63  # the split ones are counted by their pieces
    assert counters.chunks_waiting == 7
    assert counters.items_bad == 5


def test_there_is_a_counter_for_each_state_of_a_chunk() -> None:
    assert {f"chunks_{state}" for state in ChunkState} == {name for name in COUNTER_NAMES if name.startswith("chunks_")}
    assert tuple(each.name for each in fields(Counters)) == COUNTER_NAMES


@pytest.mark.parametrize(
    ("error", "failed", "threshold", "over"),
    [
        (25, 25, 0.5, False),
        (25, 26, 0.5, True),
        (0, 1, 0.0, True),
        (0, 0, 0.0, False),
        (0, 100, 1.0, False),
    ],
)
def test_a_job_fails_above_its_threshold(error: int, failed: int, threshold: float, over: bool) -> None:
    counters = Counters(items_total=100, items_error=error, items_failed=failed)
    assert bool(too_many_errors(counters, RetryPolicy(error_threshold=threshold))) is over


def test_the_sentence_has_the_numbers() -> None:
    assert too_many_errors(Counters(items_total=200, items_failed=120), RetryPolicy()) == (
        "120 of 200 items failed (60 %), more than the error threshold of 50 %"
    )


def test_an_empty_job_has_no_errors() -> None:
    assert too_many_errors(Counters(), RetryPolicy(error_threshold=0.0)) == ""


@pytest.mark.parametrize(
    ("done", "error_lines", "errored", "expected"),
    [
        (0, 0, HOPELESS_ERRORS - 1, False),
        (0, 0, HOPELESS_ERRORS, True),
        (10, 10, HOPELESS_ERRORS, True),
        (10, 9, 10 * HOPELESS_ERRORS, False),
    ],
)
def test_one_good_item_gives_hope(done: int, error_lines: int, errored: int, expected: bool) -> None:
    counters = Counters(items_done=done, items_error=error_lines, attempts_errored=errored)
    assert hopeless(counters) is expected

"""How long a job may take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.core.estimate import Pace, Sample, estimate, pace_of
from fallow.core.sizing import Work, chosen_items

PACE = Pace(10.0, 8.0, 12.5, 50)


def test_nothing_known_is_said_to_be_nothing() -> None:
    assert pace_of([]) is None
    assert pace_of([Sample(0, 1.0), Sample(5, 0.0)]) is None
    assert estimate(100, 10, 1, 4, None) is None


def test_a_mean_alone_makes_a_wide_band() -> None:
    assert pace_of([], 10.0) == Pace(10.0, 5.0, 20.0, 0)
    assert pace_of([], 0.0) is None


def test_few_chunks_make_a_wide_band_too() -> None:
    assert pace_of([Sample(10, 1.0), Sample(10, 3.0)], 99.0) == Pace(5.0, 2.5, 10.0, 2)


def test_many_chunks_make_their_own_band() -> None:
    """The likely pace is items over seconds: slow chunks weigh by their time, not by their number."""
    samples = [Sample(10, 1.0)] * 9 + [Sample(10, 11.0)] * 2
    pace = pace_of(samples)
    assert pace is not None
    assert pace.likely == pytest.approx(110 / 31)
    assert pace.low == pytest.approx(10 / 11)
    assert pace.high == pytest.approx(10.0)
    assert pace.chunks == 11


def test_a_job_on_one_slot_takes_its_work() -> None:
    found = estimate(1000, 10, 1, 1, PACE)
    assert found is not None
    assert found.seconds is not None
    assert (found.seconds.low, found.seconds.likely, found.seconds.high) == (80.0, 100.0, 125.0)
    assert found.slot_seconds.likely == 100.0


def test_more_slots_share_the_work_and_the_last_chunk_is_late() -> None:
    found = estimate(1000, 10, 1, 5, PACE)
    assert found is not None
    assert found.seconds is not None
    assert found.seconds.low == 16.0
    assert found.seconds.likely == 20.0 + 5.0
    assert found.seconds.high == 25.0 + 12.5
    assert found.slots == 5


def test_slots_beyond_the_answers_are_of_no_use_and_a_quorum_is_work() -> None:
    found = estimate(1000, 2, 3, 100, PACE)
    assert found is not None
    assert found.slots == 6
    assert found.slot_seconds.likely == 300.0


def test_no_fitting_worker_leaves_the_work_known_and_the_time_not() -> None:
    found = estimate(1000, 10, 1, 0, PACE)
    assert found is not None
    assert found.seconds is None
    assert found.slot_seconds.likely == 100.0


@given(
    items=st.integers(1, 10**9),
    chunks=st.integers(1, 10**6),
    answers=st.integers(1, 9),
    slots=st.integers(1, 10**4),
    samples=st.lists(
        st.builds(Sample, st.integers(1, 10**6), st.floats(1e-3, 1e5)),
        min_size=1,
        max_size=30,
    ),
)
def test_a_band_is_in_order(items: int, chunks: int, answers: int, slots: int, samples: list[Sample]) -> None:
    found = estimate(items, chunks, answers, slots, pace_of(samples))
    assert found is not None
    assert found.seconds is not None
    assert 0 < found.pace.low <= found.pace.likely <= found.pace.high
    assert 0 < found.seconds.low <= found.seconds.likely <= found.seconds.high
    assert found.slot_seconds.low <= found.slot_seconds.likely <= found.slot_seconds.high


def test_chunks_are_sized_by_speed_and_fleet() -> None:
    assert chosen_items(Work(1_000_000, None, 4)) == 1000
    assert chosen_items(Work(1_000_000, 10.0, 4)) == 200  # twenty seconds of one slot
    assert chosen_items(Work(1_000_000, 1e9, 1)) == 10_000
    assert chosen_items(Work(64, None, 4)) == 2  # eight pieces a slot
    assert chosen_items(Work(1, 0.001, 0)) == 1

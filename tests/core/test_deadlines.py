"""How much a volunteer gets, and until when."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.core.deadlines import Wanted, bundle, deadline, duration, feasible, tasks
from fallow.core.words import Micros

NOW = Micros(1_700_000_000_000_000)
HOUR, WEEK = 3600.0, 7 * 86_400.0


@pytest.mark.parametrize(
    ("pace", "items", "chunks"),
    [
        (0.0, 10, 1),  # not known: the first one measures
        (1.0, 10, 30),
        (0.01, 10, 64),
        (100.0, 10, 1),
        (math.inf, 10, 1),
        (math.nan, 10, 1),
        (1e-300, 1, 64),
    ],
)
def test_a_task_is_some_minutes_of_chunks(pace: float, items: float, chunks: int) -> None:
    assert bundle(pace, items, 300.0, 64) == chunks


@pytest.mark.parametrize(
    ("wanted", "cores", "left", "count"),
    [
        (Wanted(), 4, 100, 0),
        (Wanted(seconds=0.0, instances=4), 4, 100, 4),
        (Wanted(seconds=1.0), 4, 100, 1),
        (Wanted(seconds=3000.0), 4, 100, 10),
        (Wanted(seconds=3000.0, instances=20), 4, 100, 20),
        (Wanted(seconds=1e9), 4, 100, 40),
        (Wanted(seconds=1e9), 4, 7, 7),
        (Wanted(seconds=1e9, instances=1), 4, 0, 0),
        (Wanted(seconds=math.inf), 1, 100, 10),
        (Wanted(seconds=-5.0, instances=-1.0), 4, 100, 0),
    ],
)
def test_a_call_fills_the_queue_within_bounds(wanted: Wanted, cores: float, left: int, count: int) -> None:
    assert tasks(wanted, 300.0, cores, 10, left) == count


def test_a_task_of_several_cores_fills_several() -> None:
    assert tasks(Wanted(seconds=6000.0, instances=4), 300.0, 8, 10, 100, cores_each=4.0) == 5
    assert tasks(Wanted(instances=4), 300.0, 8, 10, 100, cores_each=4.0) == 1


@given(st.floats(0, 1e12), st.floats(0, 1e9), st.floats(0, 1), st.floats(60, 1e6), st.floats(0, 1e6))
def test_a_deadline_can_be_met_and_is_bounded(
    seconds: float, delay: float, availability: float, least: float, more: float
) -> None:
    most = least + more
    at = (deadline(NOW, seconds, delay, availability, least, most) - NOW) / 1e6
    assert least - 1e-3 <= at <= most + 1e-3
    if not feasible(seconds, delay, availability, most):
        needed = delay + seconds / max(0.1, availability)
        assert at >= min(needed, most) - 1e-3


def test_a_machine_that_is_seldom_on_gets_longer() -> None:
    always, seldom = (deadline(NOW, HOUR, 0.0, each, 60.0, WEEK) for each in (1.0, 0.25))
    assert always - NOW == 4 * HOUR * 1e6
    assert seldom - NOW == 16 * HOUR * 1e6


def test_what_cannot_be_done_in_time_is_said() -> None:
    assert feasible(HOUR, 0.0, 1.0, WEEK) == ""
    said = feasible(30 * HOUR, 0.0, 0.1, WEEK)
    assert "12.5 days" in said
    assert "7.0 days" in said
    assert "2 hours" in feasible(HOUR, HOUR, 1.0, 1800.0)
    assert "30 minutes" in feasible(HOUR, HOUR, 1.0, 1800.0)


def test_what_was_never_measured_has_a_guess() -> None:
    assert duration(2.0, 10, 600.0) == 20.0
    assert duration(0.0, 10, 600.0) == duration(math.inf, 10, 600.0) == duration(math.nan, 10, 600.0) == 600.0

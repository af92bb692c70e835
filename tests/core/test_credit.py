"""Cobblestones: what an attempt claims, what its chunk grants, and how averages fade."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.core.credit import (
    CORES_MAX,
    DAY_SECONDS,
    FLOPS_PER_CORE_MAX,
    HALF_LIFE_SECONDS,
    add,
    ceiling,
    claimed,
    fade,
    granted,
)

T0 = 1_700_000_000.0
CREDITS = st.floats(0, 1e6)
SECONDS = st.floats(0, 1e7)


@pytest.mark.parametrize(
    ("cpu", "wall", "cores", "flops", "expected"),
    [
        (DAY_SECONDS, DAY_SECONDS, 1, 1e9, 200.0),
        (4 * DAY_SECONDS, DAY_SECONDS, 4, 1e9, 800.0),
        (DAY_SECONDS / 2, DAY_SECONDS, 1, 2e9, 200.0),
        (432.0, 1000.0, 1, 1e9, 1.0),
        (1e12, 432.0, 2, 1e9, 2.0),  # no more than two cores could do in that time
        (432.0, 1000.0, 1, 1e15, FLOPS_PER_CORE_MAX / 1e9),  # nor faster than a core is
        (-5.0, 10.0, 1, 1e9, 0.0),
        (5.0, -10.0, 1, 1e9, 0.0),
        (5.0, 10.0, 1, -1e9, 0.0),
        (math.nan, 10.0, 1, 1e9, 0.0),
        (5.0, math.inf, 1, 1e9, 0.0),
        (5.0, 10.0, 1, math.inf, 0.0),
    ],
)
def test_a_claim_is_processor_time_at_the_machines_speed(
    cpu: float, wall: float, cores: float, flops: float, expected: float
) -> None:
    assert claimed(cpu, wall, cores, flops) == pytest.approx(expected)


def test_a_machine_cannot_have_earned_more_than_all_its_cores_could() -> None:
    assert ceiling(DAY_SECONDS, 4, 1e9) == pytest.approx(800.0)
    assert ceiling(DAY_SECONDS, 1e9, 1e9) == ceiling(DAY_SECONDS, CORES_MAX, 1e9)
    assert ceiling(-1.0, 4, 1e9) == ceiling(math.inf, 4, 1e9) == ceiling(1.0, math.nan, 1e9) == 0.0


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([3.0], 3.0),
        ([5.0, 3.0], 3.0),
        ([1.0, 100.0, 4.0], 4.0),
        ([1.0, 3.0, 5.0, 1000.0], 4.0),
        ([0.0, 3.0], 3.0),
        ([0.0], 0.0),
        ([], 0.0),
    ],
)
def test_a_liar_does_not_raise_what_is_granted(claims: list[float], expected: float) -> None:
    assert granted(claims) == expected


@given(st.lists(CREDITS, min_size=1, max_size=9))
def test_what_is_granted_lies_between_the_claims(claims: list[float]) -> None:
    assert min(claims) <= granted(claims) <= max(claims) * (1 + 1e-12)


def test_an_average_halves_in_a_week() -> None:
    assert fade(100.0, T0, T0 + HALF_LIFE_SECONDS) == pytest.approx(50.0)
    assert fade(100.0, T0, T0) == fade(100.0, T0, T0 - 5) == 100.0


@pytest.mark.parametrize(
    ("average", "days", "credit", "expected"),
    [
        # By hand: w = 2 ** (-days / 7); average * w + (1 - w) * credit / days.
        (0.0, 7.0, 700.0, 50.0),
        (100.0, 7.0, 700.0, 100.0),
        (100.0, 7.0, 0.0, 50.0),
        (40.0, 14.0, 140.0, 17.5),
        (0.0, 1.0, 200.0, 200.0 * (1 - 2 ** (-1 / 7))),
        # At the same moment: + ln 2 * credit / 7.
        (10.0, 0.0, 70.0, 10.0 + 10 * math.log(2)),
        (10.0, -1.0, 70.0, 10.0 + 10 * math.log(2)),
    ],
)
def test_an_average_with_new_credit_is_as_computed_by_hand(
    average: float, days: float, credit: float, expected: float
) -> None:
    assert add(average, T0, credit, T0 + days * DAY_SECONDS) == pytest.approx(expected)


def test_a_first_credit_counts_as_one_that_came_at_one_moment() -> None:
    assert add(0.0, 0.0, 70.0, T0) == pytest.approx(10 * math.log(2))


def test_the_special_case_meets_the_formula() -> None:
    """On both sides of the millionth, the same but for the rounding of 1 - w."""
    edge = HALF_LIFE_SECONDS * 1e-6 / math.log(2)
    below, above = (add(5.0, T0, 100.0, T0 + edge * factor) for factor in (0.999, 1.001))
    assert below == pytest.approx(above, rel=1e-6)


@given(st.floats(0.1, 1e5), st.floats(60, 2 * DAY_SECONDS))
def test_a_constant_rate_becomes_the_average(rate: float, every: float) -> None:
    average, at = 0.0, T0
    for _ in range(math.ceil(20 * HALF_LIFE_SECONDS / max(every, 3600))):
        step = max(every, 3600)
        average, at = add(average, at, rate * step / DAY_SECONDS, at + step), at + step
    assert average == pytest.approx(rate, rel=1e-4)


@given(st.lists(CREDITS, min_size=1, max_size=8), SECONDS)
def test_credit_of_one_moment_is_one_sum_whatever_its_order(credits: list[float], later: float) -> None:
    there = add(7.0, T0, math.fsum(credits), T0 + later)
    back = add(7.0, T0, math.fsum(reversed(credits)), T0 + later)
    assert there == back


@given(CREDITS, st.lists(CREDITS, min_size=2, max_size=6))
def test_after_the_first_the_grants_of_a_moment_commute(average: float, credits: list[float]) -> None:
    there = back = average
    for credit in credits:
        there = add(there, T0, credit, T0)
    for credit in reversed(credits):
        back = add(back, T0, credit, T0)
    assert there == pytest.approx(back)


@given(CREDITS, CREDITS, SECONDS)
def test_an_average_is_never_negative_and_never_more_than_came(average: float, credit: float, later: float) -> None:
    found = add(average, T0, credit, T0 + later)
    assert 0 <= found <= (average + credit * math.log(2) / 7) * (1 + 1e-6)


@given(CREDITS, SECONDS, SECONDS)
def test_fading_twice_is_fading_once(average: float, first: float, second: float) -> None:
    twice = fade(fade(average, T0, T0 + first), T0 + first, T0 + first + second)
    assert twice == pytest.approx(fade(average, T0, T0 + first + second), rel=1e-6, abs=1e-12)

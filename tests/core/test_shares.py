"""Who gets how many slots: in proportion to shares, nobody shut out, who had less catches up."""

import pytest

from fallow.core.shares import BOOST_MAX, Claim, divide, faded, percentages, weights
from fallow.core.words import Micros


def claim(account: str, weight: float = 1.0, *, turn: float = 0.0, seconds: float = 1.0, available: int = 999) -> Claim:
    return Claim(account, turn, weight, seconds, available)


def test_slots_are_divided_by_weight() -> None:
    assert divide(10, [claim("c", 2), claim("a", 5), claim("b", 3)]) == [("a", 5), ("b", 3), ("c", 2)]


def test_longer_attempts_count_for_more() -> None:
    assert dict(divide(9, [claim("long", seconds=2.0), claim("short", seconds=1.0)])) == {"long": 3, "short": 6}


def test_the_lowest_turn_is_served_first_and_ties_are_decided_by_name() -> None:
    assert divide(1, [claim("b"), claim("a")]) == [("a", 1), ("b", 0)]
    assert divide(1, [claim("b", turn=1.0), claim("a", turn=1.5)]) == [("b", 1), ("a", 0)]
    assert dict(divide(3, [claim("behind", turn=0.0), claim("ahead", turn=2.5)])) == {"behind": 3, "ahead": 0}


def test_what_one_cannot_use_the_others_get() -> None:
    assert dict(divide(10, [claim("a", 9, available=1), claim("b", 1)])) == {"a": 1, "b": 9}
    assert dict(divide(10, [claim("a", available=2), claim("b", available=0), claim("c", available=3)])) == {
        "a": 2,
        "b": 0,
        "c": 3,
    }
    assert divide(5, []) == []
    assert divide(0, [claim("a")]) == [("a", 0)]


def test_use_fades_by_half_in_a_half_life_and_never_grows() -> None:
    assert faded(100.0, Micros(0), Micros(3_600_000_000), 3600.0) == pytest.approx(50.0)
    assert faded(100.0, Micros(0), Micros(0), 3600.0) == 100.0
    assert faded(100.0, Micros(9), Micros(0), 3600.0) == 100.0, "a clock that was set back"
    assert faded(100.0, Micros(0), Micros(10**18), 1.0) == 0.0


def test_weights_are_the_shares_while_everybody_had_their_part() -> None:
    shares = {"a": 5.0, "b": 3.0, "c": 2.0}
    assert weights(shares, {}) == shares
    assert weights(shares, {"a": 500.0, "b": 300.0, "c": 200.0}) == pytest.approx(shares)
    assert weights(shares, {"a": 1.0}) == shares, "nobody had anything to speak of"


def test_who_had_less_counts_for_more_within_bounds() -> None:
    found = weights({"old": 1.0, "new": 1.0}, {"old": 1e6})
    assert found == {"old": 1 / BOOST_MAX, "new": BOOST_MAX}
    slightly = weights({"old": 1.0, "new": 1.0}, {"old": 600.0, "new": 400.0})
    assert slightly["new"] > 1 > slightly["old"] > 1 / BOOST_MAX


def test_percentages() -> None:
    assert percentages({"a": 5, "b": 3, "c": 2}) == {"a": 50.0, "b": 30.0, "c": 20.0}
    assert percentages({}) == {}

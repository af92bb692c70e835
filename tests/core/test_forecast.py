"""The forecast: exact where the pace is even, wide where it is not, silent where nothing is known."""

from hypothesis import given
from hypothesis import strategies as st

from fallow.core.forecast import LOOKED_AT, forecast


def test_an_even_pace_has_one_end() -> None:
    found = forecast(600, [10] * 20, 2.0)
    assert found is not None
    assert found.items_per_second == 5.0
    assert found.soonest_seconds == found.likely_seconds == found.latest_seconds == 120.0


def test_an_uneven_pace_has_a_band() -> None:
    found = forecast(600, [0, 20] * 10, 2.0)
    assert found is not None
    assert found.soonest_seconds < found.likely_seconds == 120.0 < found.latest_seconds


def test_what_was_long_ago_does_not_count() -> None:
    assert forecast(100, [1_000_000, *[10] * LOOKED_AT], 1.0) == forecast(100, [10] * LOOKED_AT, 1.0)


def test_nothing_known_is_nothing_said() -> None:
    assert forecast(100, [], 1.0) is None
    assert forecast(100, [5, *[0] * LOOKED_AT], 1.0) is None
    assert forecast(0, [5, 5], 1.0) is None


def test_the_first_span_alone_is_a_wide_guess() -> None:
    found = forecast(100, [10], 1.0)
    assert found is not None
    assert found.latest_seconds > 4 * found.likely_seconds


@given(
    remaining=st.integers(1, 10**12),
    spans=st.lists(st.integers(0, 10**9), min_size=1, max_size=60),
    seconds=st.floats(0.001, 1e6),
)
def test_the_band_is_in_order_and_finite(remaining: int, spans: list[int], seconds: float) -> None:
    found = forecast(remaining, spans, seconds)
    if found is None:
        assert sum(spans[-LOOKED_AT:]) == 0
    else:
        assert 0 < found.soonest_seconds <= found.likely_seconds * 1.000001
        assert found.likely_seconds <= found.latest_seconds * 1.000001
        assert found.latest_seconds < float("inf")

"""Numbers and moments as people read them."""

import pytest

from fallow.core.words import Micros
from fallow.web.ui.figures import count, duration, lasted, moment, percent, rate, short, size


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        (0, 0, "0 %"),
        (0, 10, "0 %"),
        (1, 10**6, "0.1 %"),
        (10**6 - 1, 10**6, "99.9 %"),
        (10, 10, "100 %"),
        (358, 640, "56 %"),
    ],
)
def test_percent_is_never_all_before_it_is(part: int, whole: int, expected: str) -> None:
    assert percent(part, whole) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 ms"),
        (0.25, "250 ms"),
        (4.21, "4.2 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (7200, "2 h"),
        (93600, "1 d 2 h"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_sizes_counts_and_rates() -> None:
    assert [size(each) for each in (0, 999, 81_234, 5_000_000_000)] == ["0 B", "999 B", "81.2 kB", "5 GB"]
    assert count(1_234_567) == "1,234,567"
    assert [rate(each) for each in (0.125, 12.34, 1234.5)] == ["0.12", "12.3", "1,234"]


def test_moments_are_times_that_machines_read_too() -> None:
    assert moment(None) == ""
    assert moment(Micros(1_700_000_000_000_000)) == (
        '<time datetime="2023-11-14T22:13:20.000Z">2023-11-14 22:13:20 UTC</time>'
    )
    assert lasted(Micros(0), Micros(90_000_000)) == "1 min 30 s"
    assert lasted(None, Micros(1)) == ""


def test_long_texts_lose_their_middle() -> None:
    assert short("abc", 10) == "abc"
    assert short("s3://bucket/a/long/way/to/the/file.jsonl", 20) == "s3://bucke…ile.jsonl"
    assert len(short("x" * 1000, 40)) == 40

"""When a job will be done: from how fast it went lately, and how evenly."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

LOOKED_AT: Final = 60  # spans; what was longer ago says little about now
_SIGMAS: Final = 2.0  # about 95 in 100, if spans were independent of each other
_SLOWEST: Final = 0.2  # of the mean: below, the band would say "never" because of one bad minute


@dataclass(frozen=True, slots=True)
class Forecast:
    """items_per_second: the mean of the spans that were looked at. Seconds from now; soonest <= likely <= latest."""

    items_per_second: float
    soonest_seconds: float
    likely_seconds: float
    latest_seconds: float


def forecast(remaining: int, spans: Sequence[int], span_seconds: float) -> Forecast | None:
    """The end of a job that has `remaining` items to go; None when nothing came lately, or nothing is left.

    spans: items done in each whole span of `span_seconds` so far, oldest first; empty ones are zeros.
    """
    lately = spans[-LOOKED_AT:]
    done = sum(lately)
    if remaining <= 0 or not done or span_seconds <= 0:
        return None
    mean = done / len(lately)
    error = _standard_error(lately, mean)
    fastest = mean + _SIGMAS * error
    slowest = max(mean - _SIGMAS * error, _SLOWEST * mean)
    spans_left = [remaining / each for each in (fastest, mean, slowest)]
    soonest, likely, latest = (each * span_seconds for each in spans_left)
    return Forecast(mean / span_seconds, soonest, likely, latest)


def _standard_error(values: Sequence[int], mean: float) -> float:
    """Of the mean. One value alone tells nothing of the spread: as wide as the value itself."""
    if len(values) < 2:
        return mean
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return sqrt(variance / len(values))

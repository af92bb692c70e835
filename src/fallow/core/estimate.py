"""How long a job may take: from how long the same image took before, and from the slots that fit it now.

An estimate is a band and says what it is made from. Where nothing is known it says so: there is no default speed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_FEW = 5  # chunks; fewer tell of the mean only roughly, and of the spread nothing
_ROUGHLY = 2.0  # so far either way is a guess from few chunks taken to be wrong
_LOW, _HIGH = 0.1, 0.9  # quantiles of the chunks' own speeds that make the band


@dataclass(frozen=True, slots=True)
class Sample:
    """One chunk that was done before: its items, and the seconds one slot took for them."""

    items: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Items per second of one slot: most likely, and between which bounds. chunks: how many it is made from."""

    likely: float
    low: float
    high: float
    chunks: int


def pace_of(samples: Sequence[Sample], mean: float | None = None) -> Pace | None:
    """The pace that the samples show; None when they show none.

    mean: items per second as they were counted over a whole job, for when its chunks cannot be looked at any more.
    """
    timed = [each for each in samples if each.items > 0 and each.seconds > 0]
    if not timed:
        return Pace(mean, mean / _ROUGHLY, mean * _ROUGHLY, 0) if mean and mean > 0 else None
    likely = sum(each.items for each in timed) / sum(each.seconds for each in timed)
    if len(timed) < _FEW:
        return Pace(likely, likely / _ROUGHLY, likely * _ROUGHLY, len(timed))
    speeds = sorted(each.items / each.seconds for each in timed)
    low, high = _quantile(speeds, _LOW), _quantile(speeds, _HIGH)
    return Pace(likely, min(low, likely), max(high, likely), len(timed))


def _quantile(ordered: Sequence[float], fraction: float) -> float:
    """Linear between neighbours. ordered: not empty."""
    at = fraction * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


@dataclass(frozen=True, slots=True)
class Band:
    """A number that is most likely `likely`, and between low and high."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """seconds: from the first lease to the last answer, with nothing else on those slots; None: no worker fits now.
    slot_seconds: of all slots together, with every answer that the quorum asks for. slots: that are of use at once."""

    seconds: Band | None
    slot_seconds: Band
    slots: int
    pace: Pace


def estimate(items: int, chunks: int, answers: int, slots: int, pace: Pace | None) -> Estimate | None:
    """What `items` items in `chunks` chunks take, each chunk answered `answers` times. None without a pace.

    slots: of the workers that fit now, busy or not. More slots than there are answers to give are of no use. The time
    is between a perfect share-out of the work and one last chunk that starts when the others end (Graham's bound).
    """
    if pace is None:
        return None
    work = Band(*(items * answers / speed for speed in (pace.high, pace.likely, pace.low)))
    useful = min(slots, max(chunks, 1) * answers)
    if useful == 0:
        return Estimate(None, work, 0, pace)
    chunk_items = items / max(chunks, 1)
    likely = _spread(work.likely, useful, chunk_items / pace.likely)
    late = work.high / useful + (chunk_items / pace.low if useful > 1 else 0.0)
    return Estimate(Band(work.low / useful, likely, max(late, likely)), work, useful, pace)


def _spread(work: float, slots: int, chunk_seconds: float) -> float:
    """Half a chunk longer than a perfect share-out: some slots idle while the last ones end."""
    return work / slots + (chunk_seconds / 2 if slots > 1 else 0.0)

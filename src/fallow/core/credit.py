"""Credit: what computing is worth to volunteers, in cobblestones, and how an average of it fades.

A machine of 1 GFLOPS earns 200 cobblestones a day. Source: BOINC doc "Computation credit", lib/util.cpp.
"""

import math
from collections.abc import Sequence
from typing import Final

DAY_SECONDS: Final = 86400.0
CREDIT_PER_GFLOPS_DAY: Final = 200.0
HALF_LIFE_SECONDS: Final = 7 * DAY_SECONDS
FLOPS_PER_CORE_MAX: Final = 64e9  # no processor's core does more in BOINC's own benchmark, whatever its client says
CORES_MAX: Final = 1024.0
_TINY: Final = 1e-6


def claimed(cpu_seconds: float, wall_seconds: float, cores: float, flops: float) -> float:
    """What an attempt asks for: its processor time at its machine's speed.

    cpu_seconds: as its worker says, so never more than what `cores` could do in the time between lease and report.
    flops: of one core, as its client measured. Nonsense is worth nothing.
    """
    if not math.isfinite(cpu_seconds):
        return 0.0
    rate = _a_second(cores, flops)
    return min(max(0.0, cpu_seconds) * _a_second(1.0, flops), _seconds(wall_seconds) * rate)


def ceiling(seconds: float, cores: float, flops: float) -> float:
    """What a machine can have earned in so long a time with all its cores: leases run side by side, and a liar's claims
    may fill each of them."""
    return _seconds(seconds) * _a_second(cores, flops)


def _a_second(cores: float, flops: float) -> float:
    """Cobblestones."""
    if not (math.isfinite(cores) and math.isfinite(flops)):
        return 0.0
    speed = max(0.0, min(flops, FLOPS_PER_CORE_MAX)) * max(0.0, min(cores, CORES_MAX))
    return speed / 1e9 * CREDIT_PER_GFLOPS_DAY / DAY_SECONDS


def _seconds(seconds: float) -> float:
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def granted(claims: Sequence[float]) -> float:
    """What each of the attempts that agree gets: one gets its claim, two the smaller, more the mean without the lowest
    and the highest. A claim of nothing is none: processor time cannot be measured everywhere, and nobody shall take the
    others' credit away by saying 0.

    Source: BOINC's pre-2010 rule (sched/validate_util.cpp, median_mean_credit).
    """
    ordered = sorted(claim for claim in claims if claim > 0.0)
    if not ordered:
        return 0.0
    if len(ordered) <= 2:
        return ordered[0]
    middle = ordered[1:-1]
    return math.fsum(middle) / len(middle)


def fade(average: float, at: float, now: float, half_life: float = HALF_LIFE_SECONDS) -> float:
    """The average as it is `now` when nothing came since `at`. Times in seconds; going back changes nothing."""
    return average * math.exp2(-max(0.0, now - at) / half_life)


def add(average: float, at: float, credit: float, now: float, half_life: float = HALF_LIFE_SECONDS) -> float:
    """The average, a day's worth, with `credit` that came between `at` and `now`. at 0: there was none before.

    The time since `at` was one at the rate credit / days, so the new average lies between the old one and this rate:
    average * w + (1 - w) * credit / days with w = 2 ** (-time / half_life). As the time goes to 0, (1 - w) / days goes
    to ln 2 / half_life in days: that is used below a millionth, and for somebody's first credit, where BOINC divides by
    the time since the work began and so lets a first task of a second shine for weeks.
    Credit that comes at one moment must be added as one sum: then its order cannot matter.
    Source: BOINC lib/util.cpp, update_average().
    """
    seconds = max(0.0, now - at) if at > 0 else 0.0
    weight = math.exp2(-seconds / half_life)
    if 1.0 - weight > _TINY:
        return average * weight + (1.0 - weight) * credit / (seconds / DAY_SECONDS)
    return average * weight + math.log(2.0) * credit * DAY_SECONDS / half_life

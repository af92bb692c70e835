"""How much work a volunteer's machine is sent at once, and until when.

Source: BOINC's sched/sched_send.cpp, work_needed(), estimate_duration() and wu_is_infeasible_fast().
"""

import math
from dataclasses import dataclass

from fallow.core.words import Micros

SLACK = 4.0  # times the estimate: an estimate is one, and a deadline that is missed costs the whole task twice
_CHUNKS_UNKNOWN = 1  # of a job whose speed here is not known: the first task measures it


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for. seconds: device-seconds that its queue lacks. instances: devices that are idle now.
    delay_seconds: until one is free."""

    seconds: float = 0.0
    instances: float = 0.0
    delay_seconds: float = 0.0

    @property
    def is_nothing(self) -> bool:
        """Whether it asks for no work at all."""
        return self.seconds <= 0.0 and self.instances <= 0.0


def bundle(seconds_per_item: float, items_per_chunk: float, task_seconds: float, chunks_max: int) -> int:
    """How many chunks of a job make a task of about task_seconds; at least 1. seconds_per_item: 0.0 for not known."""
    each = seconds_per_item * items_per_chunk
    if each <= 0.0 or not math.isfinite(each):
        return _CHUNKS_UNKNOWN
    return max(1, min(chunks_max, int(min(task_seconds / each, float(chunks_max)))))


def duration(seconds_per_item: float, items: float, unknown_seconds: float) -> float:
    """Seconds that so many items take; unknown_seconds where the speed is not known."""
    seconds = seconds_per_item * items
    return seconds if 0.0 < seconds < math.inf else unknown_seconds


def tasks(
    wanted: Wanted, seconds_each: float, cores: float, per_core_max: int, left_today: int, cores_each: float = 1.0
) -> int:
    """How many tasks a call gets: enough for the wanted seconds and the idle devices; one when a device is idle.

    seconds_each: of one task; cores_each: that it keeps busy. left_today: of the machine's quota.
    """
    if wanted.is_nothing:
        return 0
    at_most = min(max(1, int(per_core_max * max(1.0, cores))), left_today)
    filling = max(0.0, wanted.seconds) / max(1.0, seconds_each * max(1e-3, cores_each))
    idle = max(0.0, wanted.instances) / max(1e-3, cores_each)
    return max(0, min(at_most, math.ceil(min(max(filling, idle), float(at_most)))))


def deadline(
    now: Micros,
    seconds_estimated: float,
    delay_seconds: float,
    availability: float,
    seconds_min: float,
    seconds_max: float,
) -> Micros:
    """When a task is given up: later than the machine needs with some luck against it, within the two bounds.

    seconds_estimated: of computing. availability: the part of the time it computes, core.volunteers.HostFacts.
    """
    seconds = max(0.0, delay_seconds) + SLACK * _elapsing(seconds_estimated, availability)
    return Micros(now + int(max(seconds_min, min(seconds_max, seconds)) * 1e6))


def feasible(seconds_estimated: float, delay_seconds: float, availability: float, seconds_max: float) -> str:
    """Why this machine cannot finish such a task even by the latest deadline there is; "" when it can."""
    needed = max(0.0, delay_seconds) + _elapsing(seconds_estimated, availability)
    if needed <= seconds_max:
        return ""
    return (
        f"A task would take this machine about {_days(needed)}, and none may take longer than {_days(seconds_max)}."
        " Let it compute more of the time, or finish other projects' tasks first."
    )


def _elapsing(seconds: float, availability: float) -> float:
    """Wall-clock seconds of a machine that computes only some of the time."""
    elapsed = max(0.0, seconds) / max(0.1, min(1.0, availability))
    return elapsed if elapsed < math.inf else 1e12


def _days(seconds: float) -> str:
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"

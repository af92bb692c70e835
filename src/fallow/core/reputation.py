"""A volunteer's record with one image: whether its word is enough, how much it gets a day, how fast it is.

Source of the rules: BOINC's sched/sched_result.cpp, sched/validator.cpp and sched/transitioner.cpp, which keep such a
record for each host and version of an application.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from fallow.core.lifecycle import AttemptEvent
from fallow.core.words import FailureClass, Micros

TRUSTED_AFTER = 10  # good answers in a row; BOINC's number
QUOTA_GROWTH = 10  # times the quota that a machine starts with, at most: BOINC has no bound
_WEIGHT_MIN = 0.1  # of the newest measurement; the first ten count the same
_DAY_MICROS = 86_400_000_000


class Fared(StrEnum):
    """How an attempt ended, where that says something of its machine."""

    VALID = "valid"
    INVALID = "invalid"
    ERRORED = "errored"  # by the machine's fault
    LOST = "lost"  # nothing was heard by the deadline
    ABORTED = "aborted"  # by its owner


@dataclass(frozen=True, slots=True)
class Reputation:
    """quota: tasks a day and core, as of now. day: days since 1970 that sent_today counts for. seconds_per_item,
    turnaround_seconds: averages that follow what is new; 0.0: never measured."""

    quota: int
    valid: int = 0
    invalid: int = 0
    errored: int = 0
    valid_in_row: int = 0
    day: int = 0
    sent_today: int = 0
    seconds_per_item: float = 0.0
    turnaround_seconds: float = 0.0


def fared(event: AttemptEvent, failure_class: FailureClass | None) -> Fared | None:
    """What an attempt's end says of its machine; None for nothing: it was stopped by us, or the job was at fault."""
    if event is AttemptEvent.FAIL:
        return {FailureClass.WORKER: Fared.ERRORED, FailureClass.ABORTED: Fared.ABORTED}.get(
            failure_class or FailureClass.OURS
        )
    return _FARED.get(event)


_FARED = {
    AttemptEvent.AGREE: Fared.VALID,
    AttemptEvent.DISAGREE: Fared.INVALID,
    AttemptEvent.EXPIRE: Fared.LOST,
}


def after(
    reputation: Reputation,
    event: Fared,
    quota: int,
    *,
    items: int = 0,
    seconds: float = 0.0,
    turnaround_seconds: float = 0.0,
    compared: bool = True,
) -> Reputation:
    """The record with one more attempt in it.

    compared: whether a good answer was found to be good beside another machine's, in a job of somebody else. One that
    stood alone earns no trust: a liar's own job would find it good, and a liar who is trusted would stay so.
    quota: what a machine starts with. items, seconds: of the attempt's work, turnaround_seconds: from sending to
    report; 0: not known. They count for good answers only: a wrong one may have taken no time at all.
    """
    if event is Fared.VALID:
        better = replace(
            reputation,
            valid=reputation.valid + 1,
            valid_in_row=reputation.valid_in_row + compared,
            quota=_raised(reputation.quota, quota),
        )
        return measured(better, items, seconds, turnaround_seconds)
    lowered = max(1, min(reputation.quota, quota + 1) - 1)
    if event is Fared.ABORTED:
        return replace(reputation, quota=lowered)
    wrong = event is Fared.INVALID
    return replace(
        reputation,
        invalid=reputation.invalid + wrong,
        errored=reputation.errored + (not wrong),
        valid_in_row=0,
        quota=lowered,
    )


def _raised(now: int, quota: int) -> int:
    """Doubled up to what a machine starts with, then one more each time."""
    return min(now * 2, quota) if now < quota else min(now + 1, quota * QUOTA_GROWTH)


def measured(reputation: Reputation, items: int, seconds: float, turnaround_seconds: float = 0.0) -> Reputation:
    """The averages with one more measurement in them; what is 0 is left out."""
    pace, turnaround = reputation.seconds_per_item, reputation.turnaround_seconds
    weight = max(_WEIGHT_MIN, 1.0 / max(1, reputation.valid))
    if items > 0 and seconds > 0.0:
        pace = _followed(pace, seconds / items, weight)
    if turnaround_seconds > 0.0:
        turnaround = _followed(turnaround, turnaround_seconds, weight)
    return replace(reputation, seconds_per_item=pace, turnaround_seconds=turnaround)


def _followed(average: float, newest: float, weight: float) -> float:
    return newest if average <= 0.0 else average + weight * (newest - average)


def trusted(valid_in_row: int) -> bool:
    """Whether its answers were good so often in a row that one of them is enough."""
    return valid_in_row >= TRUSTED_AFTER


def spot_check(valid_in_row: int, chance: float) -> bool:
    """Whether a trusted machine is checked all the same. chance: drawn from 0..1, anew for each attempt.

    Source: BOINC sched/sched_send.cpp, adaptive replication: checked with probability 1/consecutive_valid.
    """
    return chance * valid_in_row <= 1.0


def counts_alone(valid_in_row: int, chance: float) -> bool:
    """Whether an answer of this machine, this time, needs no second one."""
    return trusted(valid_in_row) and not spot_check(valid_in_row, chance)


def day_of(now: Micros) -> int:
    """Days since 1970, UTC."""
    return now // _DAY_MICROS


def left_today(reputation: Reputation, now: Micros, cores: float) -> int:
    """Tasks that this machine may still get today."""
    sent = reputation.sent_today if reputation.day == day_of(now) else 0
    return max(0, reputation.quota * max(1, int(cores)) - sent)

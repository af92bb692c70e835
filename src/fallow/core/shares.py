"""Resource shares: whose turn it is when several accounts want the fleet. Pure.

Each account has a share, a weight. While several have something to hand out, slots go to each in proportion to its
weight; who has nothing to hand out leaves its part to the others. As in stride scheduling, every account has a `turn`:
the slot-seconds it was given, divided by its weight; the lowest turn is served first. Who had less than its share over
the last day or so has a larger weight for a while, twice at most: it catches up, and nobody is shut out meanwhile.
Source: Waldspurger and Weihl, "Stride scheduling", 1995.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace

from fallow.core.words import Micros

SHARE_MIN, SHARE_MAX = 0.001, 1_000_000.0
BOOST_MAX = 2.0
KNOWN_SECONDS = 60.0  # before so much was used by all together, nobody is behind


def faded(used: float, at: Micros, now: Micros, half_life_seconds: float) -> float:
    """Slot-seconds that were `used` at a moment, as they count now."""
    passed = max(0, now - at) / 1e6
    return float(used * 0.5 ** (passed / half_life_seconds))


def weights(shares: Mapping[str, float], used: Mapping[str, float]) -> dict[str, float]:
    """What each account's share counts now, among these accounts. used: faded; 0 where an account is missing."""
    total_share = sum(shares.values())
    total_used = sum(used.get(account, 0.0) for account in shares)
    if total_used < KNOWN_SECONDS:
        return dict(shares)
    return {
        account: share * _boost(share / total_share, used.get(account, 0.0) / total_used)
        for account, share in shares.items()
    }


def _boost(entitled: float, had: float) -> float:
    """had, entitled: fractions of the fleet."""
    if had <= entitled / BOOST_MAX:
        return BOOST_MAX
    return max(entitled / had, 1 / BOOST_MAX)


@dataclass(frozen=True, slots=True)
class Claim:
    """What an account brings to a division. turn: slot-seconds it was given, by weight. seconds: what one attempt of it
    will take, as far as one can tell. available: attempts it has to hand out."""

    account: str
    turn: float
    weight: float
    seconds: float
    available: int


def divide(want: int, claims: Sequence[Claim]) -> list[tuple[str, int]]:
    """Who gets how many of `want` slots, lowest turn first; accounts that get none come last, with 0.

    Each slot goes to the lowest turn, which rises by what the slot will take.
    """
    by_turn = sorted(claims, key=lambda claim: (claim.turn, claim.account))
    given = {claim.account: 0 for claim in by_turn}
    heap = [(claim.turn, claim.account, claim) for claim in by_turn if claim.available > 0]
    heapify(heap)
    while heap and sum(given.values()) < want:
        turn, account, claim = heap[0]
        given[account] += 1
        if given[account] < claim.available:
            heapreplace(heap, (turn + claim.seconds / claim.weight, account, claim))
        else:
            heap = heap[1:]
            heapify(heap)
    return sorted(given.items(), key=lambda each: each[1] == 0)


def percentages(shares: Mapping[str, float]) -> dict[str, float]:
    """What each share is of all of them, in percent: what an account gets while everybody wants the fleet."""
    total = sum(shares.values())
    return {account: 100.0 * share / total for account, share in shares.items()} if total else {}

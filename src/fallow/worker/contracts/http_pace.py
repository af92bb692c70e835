"""How many requests a server gets at once: more while that makes it faster, half as many when it says it is too much.

Additive increase, multiplicative decrease, as in TCP (Chiu and Jain, 1989), with doubling at the start. Decided from
the moments of answers alone.
"""

from dataclasses import dataclass

START = 2
WORTH = 0.3  # of what perfect scaling would give; a step that brings less is taken back
STEP = 8  # a step up is one of so many parts of what is, at least one
ROUND_MIN = 8  # answers that a rate is measured over, at least
STAY_ROUNDS = 10  # at the best number, before a larger one is tried again


@dataclass(slots=True)
class Pace:
    """limit: requests at once now. Moments are seconds of any steady clock."""

    limit_max: int
    limit: int = 0
    _best: int = 0
    _best_rate: float = 0.0
    _doubling: bool = True
    _counted: int = 0
    _rounds_left: int = 0
    _since: float | None = None

    def __post_init__(self) -> None:
        self.limit = self._best = min(START, self.limit_max)

    def answered(self, now: float, in_use: int) -> None:
        """One good answer. in_use: requests that were under way with it, itself included; a rate that was measured
        while there was too little to do says nothing about the server."""
        if in_use < self.limit:
            self._since, self._counted = None, 0
            return
        if self._since is None:
            self._since = now
            return
        self._counted += 1
        if self._counted < max(ROUND_MIN, 2 * self.limit) or now <= self._since:
            return
        rate = self._counted / (now - self._since)
        self._since, self._counted = now, 0
        self._after_round(rate)

    def strained(self) -> None:
        """It was too much: half. What was learnt before holds no more."""
        self.limit = self._best = max(1, self.limit // 2)
        self._best_rate, self._doubling = 0.0, False
        self._since, self._counted = None, 0
        self._rounds_left = STAY_ROUNDS

    def _after_round(self, rate: float) -> None:
        if self.limit == self._best:
            self._stay(rate)
        elif rate > self._best_rate * (1 + WORTH * (self.limit - self._best) / self._best):
            self._best, self._best_rate = self.limit, rate
            self._grow()
        else:
            self.limit, self._doubling, self._rounds_left = self._best, False, STAY_ROUNDS

    def _stay(self, rate: float) -> None:
        """At the best number: its rate is learnt anew, because the items change; then one more is tried."""
        self._best_rate = rate
        if self._rounds_left > 0:
            self._rounds_left -= 1
        else:
            self._grow()

    def _grow(self) -> None:
        more = self.limit if self._doubling else max(1, self.limit // STEP)
        self.limit = min(self.limit_max, self.limit + more)

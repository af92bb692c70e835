"""Time comes in through a clock, so that tests and the simulator can move it."""

import time
from typing import Protocol

from fallow.core.words import Micros


class Clock(Protocol):
    def now(self) -> Micros:
        """The moment, in microseconds since the epoch, UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> Micros:
        return Micros(time.time_ns() // 1000)


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, start: int = 1_700_000_000_000_000) -> None:
        self._now = start

    def now(self) -> Micros:
        return Micros(self._now)

    def advance(self, seconds: float) -> None:
        self._now += int(seconds * 1_000_000)

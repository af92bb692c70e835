"""How fast a worker tries again: after the network failed it, and after it failed an attempt."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from fallow.core.words import FailureClass

BACK_OFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STRAIN_SECONDS_MAX = 300.0


@dataclass(slots=True)
class Strain:
    """How long to hold back after failures that were this machine's own."""

    failures: int = 0
    until: float = 0.0

    def felt(self, failure_class: FailureClass | None) -> None:
        if failure_class is FailureClass.WORKER:
            self.failures += 1
            self.until = time.monotonic() + min(STRAIN_SECONDS_MAX, 2.0**self.failures)
        elif failure_class is None:
            self.failures, self.until = 0, 0.0

    @property
    def holds(self) -> bool:
        return time.monotonic() < self.until


def pauses() -> Iterator[float]:
    """For ever; with jitter, so that a fleet does not come back all at once."""
    for pause in BACK_OFF_SECONDS:
        yield pause * random.uniform(0.5, 1.0)
    while True:
        yield BACK_OFF_SECONDS[-1] * random.uniform(0.5, 1.0)

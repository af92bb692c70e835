"""How long the steps of an attempt took, for its trace. Nothing is measured for an attempt that is not traced."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from fallow.core.trace import Timed


class Steps:
    """Of one attempt. traceparent: "" when nobody traces it."""

    def __init__(self, traceparent: str) -> None:
        self._on = bool(traceparent)
        self._done: list[Timed] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measures its block, however that ends."""
        if not self._on:
            yield
            return
        start = time.time_ns()
        try:
            yield
        finally:
            self._done.append(Timed(name, start // 1000, time.time_ns() // 1000))

    @property
    def done(self) -> tuple[Timed, ...]:
        """Those that are over, in order."""
        return tuple(self._done)

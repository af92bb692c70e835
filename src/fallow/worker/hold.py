"""A pause of everything that a slot runs, and a clock that stands still meanwhile."""

import threading
import time


class Hold:
    """Shared by whoever pauses, the slot, and the attempts that run in it. Never held where nobody pauses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free = threading.Event()
        self._free.set()
        self._since = 0.0
        self._past = 0.0  # seconds of the pauses that are over

    @property
    def held(self) -> bool:
        return not self._free.is_set()

    def now(self) -> float:
        """Monotonic seconds without those of pauses. Limits of items and chunks are measured by it."""
        with self._lock:
            return (self._since if self.held else time.monotonic()) - self._past

    def begin(self) -> None:
        """Harmless when it is held."""
        with self._lock:
            if not self.held:
                self._since = time.monotonic()
                self._free.clear()

    def end(self) -> None:
        """Harmless when it is not held."""
        with self._lock:
            if self.held:
                self._past += time.monotonic() - self._since
                self._free.set()

    def wait_free(self, seconds: float) -> bool:
        """Waits at most so long; whether it is not held."""
        return self._free.wait(seconds)

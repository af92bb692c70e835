"""The string by which an agent holds a running attempt: stop it, see how far it is, read its log."""

import threading

from fallow.worker.hold import Hold
from fallow.worker.logs import CappedLog


class Control:
    """Shared by the slot that runs an attempt and the agent that watches it. hold: of a slot that can be paused."""

    def __init__(self, hold: Hold | None = None) -> None:
        self.hold = hold or Hold()
        self.items_done = 0
        self.log: CappedLog | None = None  # once the attempt runs
        self._stopped = threading.Event()
        self.reason = ""

    def stop(self, reason: str) -> None:
        """Ask the attempt to end now. reason: a sentence; the first one counts."""
        if not self._stopped.is_set():
            self.reason = reason
            self._stopped.set()

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake when stopped; whether it was."""
        return self._stopped.wait(seconds)

"""Bells: calls that wait until there is something new hear of it at once, in this process.

They only save time: whoever waits looks again by itself after a while, since what is new may come from another process.
"""

import asyncio
import contextlib
import threading
from collections import deque

import anyio


class Bell:
    """Rung from any thread, heard on event loops. rings: how often, so far."""

    def __init__(self, at_once: int) -> None:
        """at_once: how many of those that wait are called by one ring, the longest waiting first."""
        self.rings = 0
        self._at_once = at_once
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = deque()
        self._lock = threading.Lock()

    def ring(self) -> None:
        """Calls those that wait."""
        with self._lock:
            self.rings += 1
            called = [self._waiting.popleft() for _ in range(min(self._at_once, len(self._waiting)))]
        for loop, event in called:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(event.set)

    async def heard(self, since: int, seconds: float) -> None:
        """Waits for a ring, so long at most. since: `rings` before the rows were looked at: no later one is missed."""
        one = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if self.rings != since:
                return
            self._waiting.append(one)
        try:
            with anyio.move_on_after(seconds):
                await one[1].wait()
        finally:
            with self._lock:
                if one in self._waiting:
                    self._waiting.remove(one)


class Bells:
    """leases: there is something to lease. answers: something was verified."""

    def __init__(self) -> None:
        self.leases = Bell(at_once=8)  # not all idle workers of a fleet for one chunk; the others come by themselves
        self.answers = Bell(at_once=1024)

"""Where a log that was too long was cut: positions in what is kept of it, and in what was written.

What is kept is its beginning and its end, with a marker line between them that says how much was dropped.
"""

import re
from dataclasses import dataclass
from typing import Final

MARKER_BYTES_MAX: Final = 80
_MARKER = re.compile(rb"\n\[fallow: (\d{1,18}) bytes of the log were dropped here\]\n")


def head_bytes(log_bytes: int) -> int:
    """How many bytes of the beginning are kept of a log that may be so long."""
    return log_bytes - log_bytes // 2


def marker_line(dropped: int) -> bytes:
    """What stands in the place of so many bytes."""
    return b"\n[fallow: %d bytes of the log were dropped here]\n" % dropped


@dataclass(frozen=True, slots=True)
class LogGap:
    """A marker of `marker` bytes stands at `start` in the place of `dropped`. All 0: nothing was dropped."""

    start: int = 0
    marker: int = 0
    dropped: int = 0

    def position(self, written: int) -> int:
        """Where the byte is kept before which so many were written; the marker, where it was dropped."""
        if written < self.start or not self.dropped:
            return written
        return self.start if written < self.start + self.dropped else written - self.dropped + self.marker

    def written(self, position: int) -> int:
        """How many bytes were written before the one that is kept there. Inside the marker: before the gap."""
        if position < self.start or not self.dropped:
            return position
        return self.start if position < self.start + self.marker else position - self.marker + self.dropped


def gap_at(start: int, kept: bytes) -> LogGap:
    """The gap that begins at `start`, if there is one. kept: what follows there, MARKER_BYTES_MAX are enough."""
    found = _MARKER.match(kept)
    return LogGap(start, len(found[0]), int(found[1])) if found else LogGap()

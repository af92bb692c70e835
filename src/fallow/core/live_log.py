"""The log of a running attempt, as far as it is known: its newest bytes, and where in the log they begin.

A log that grows faster than it is told, or longer than is kept, loses its beginning; what is kept has no holes.
"""

from dataclasses import dataclass
from typing import Final

from fallow.core.words import AttemptId

KEPT_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class LogPart:
    """Bytes of an attempt's log. start: how many bytes the attempt had written before them."""

    attempt_id: AttemptId
    start: int
    data: bytes

    @property
    def end(self) -> int:
        """How many bytes the attempt had written after them."""
        return self.start + len(self.data)

    def newest(self, size_bytes_max: int) -> "LogPart":
        """Its last bytes."""
        cut = max(0, len(self.data) - size_bytes_max)
        return LogPart(self.attempt_id, self.start + cut, self.data[cut:])

    def since(self, after: int) -> "LogPart":
        """What comes after the first `after` bytes of the log; empty when all of it is known there."""
        cut = min(max(0, after - self.start), len(self.data))
        return LogPart(self.attempt_id, self.start + cut, self.data[cut:])


def joined(kept: LogPart | None, told: LogPart) -> LogPart:
    """What is known now. A part that was told before changes nothing; one behind a hole stands alone."""
    if kept is None or told.start > kept.end or told.start < kept.start:
        return told.newest(KEPT_BYTES)
    if told.end <= kept.end:
        return kept
    data = kept.data[: told.start - kept.start] + told.data
    return LogPart(told.attempt_id, kept.start, data).newest(KEPT_BYTES)

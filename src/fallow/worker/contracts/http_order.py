"""Answers that come in any order, written in item order. What waits is bounded; large answers wait on disk."""

from pathlib import Path

from fallow.worker.contracts.contract import Work
from fallow.worker.contracts.stream import add_refused, output_too_large
from fallow.worker.faults import Fault

AHEAD_MAX = 512  # answers that may wait for an earlier one
SPILL_BYTES = 1 << 16


class InOrder:
    """Fills work.answers. fault: set when the chunk's answers outgrow its limit."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._waiting: dict[int, tuple[bytes | Path, bool]] = {}
        self._given = 0
        self.fault: Fault | None = None

    @property
    def complete(self) -> bool:
        return self._work.answers.count >= self._work.staged.count

    @property
    def has_room(self) -> bool:
        """Whether another item may be begun."""
        return len(self._waiting) < AHEAD_MAX

    def put(self, position: int, line: bytes, is_error: bool) -> None:
        """The answer of the item at this position of the chunk. Raises OSError when the disk is full."""
        if position != self._work.answers.count and len(line) > SPILL_BYTES:
            path = self._work.directory / f"answer-{position}"
            path.write_bytes(line)
            self._waiting[position] = (path, is_error)
        else:
            self._waiting[position] = (line, is_error)
        while self.fault is None and (held := self._waiting.pop(self._work.answers.count, None)) is not None:
            self._write(*held)

    def _write(self, held: bytes | Path, is_error: bool) -> None:
        work = self._work
        line = held if isinstance(held, bytes) else held.read_bytes()
        if isinstance(held, Path):
            held.unlink()
        if work.answers.size_bytes + len(line) >= work.assignment.limits.output_bytes:
            self.fault = output_too_large(work)
            return
        work.answers.add(line, is_error)
        add_refused(work)
        work.control.items_done = work.answers.count

"""The three pipes of a run, fed and drained by one thread at once, so that no side can block the other for ever."""

import os
import selectors
from typing import IO, BinaryIO

from fallow.worker.engines.engine import Running
from fallow.worker.logs import CappedLog

BLOCK = 1 << 18
STDIN, STDOUT, STDERR = "stdin", "stdout", "stderr"


class Pipes:
    """Input comes from a file, answers leave as lines, stderr goes into the log."""

    def __init__(self, running: Running, line_bytes_max: int) -> None:
        self._running = running
        self._line_max = line_bytes_max
        self._log: CappedLog | None = None
        self._source: BinaryIO | None = None
        self._pending = memoryview(b"")
        self._partial: list[bytes] = []
        self._partial_size = 0
        self._close_after_input = False
        self._selector = selectors.DefaultSelector()
        for name, pipe in ((STDOUT, running.stdout), (STDERR, running.stderr)):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, name)
        os.set_blocking(running.stdin.fileno(), False)
        self.stdin_open = True
        self.input_done = True
        self.out_ended = False
        self.err_ended = False
        self.overlong = False

    def begin(self, log: CappedLog, head: bytes, source: BinaryIO, close_after: bool) -> None:
        """Send `head`, then the file; then close stdin if asked."""
        self._log = log
        self._source = source
        self._pending = memoryview(head)
        self._close_after_input = close_after
        self.input_done = False
        if self.stdin_open:
            self._selector.register(self._running.stdin, selectors.EVENT_WRITE, STDIN)

    def detach(self) -> None:
        """The log and the source belong to a chunk that is over."""
        self._log = self._source = None

    def listen(self, log: CappedLog) -> None:
        """Only read; for a run that gets no input."""
        self._log = log

    def end_input(self) -> None:
        """EOF for the program: it flushes and ends."""
        if self.stdin_open:
            if not self.input_done:
                self._selector.unregister(self._running.stdin)
                self.input_done = True
            self.stdin_open = False
            try:
                self._running.stdin.close()
            except OSError:
                return  # the program is gone already; its exit says why

    def step(self, seconds: float) -> list[bytes]:
        """Move what can be moved, waiting at most this long; the lines of stdout that were completed."""
        lines: list[bytes] = []
        for key, _ in self._selector.select(seconds):
            if key.data == STDIN:
                self._write()
            elif key.data == STDOUT:
                lines += self._read_lines()
            else:
                self._read_log()
        return lines

    def drain_log(self) -> None:
        """What is in the stderr pipe right now."""
        while not self.err_ended and self._read_log():
            continue

    def close(self) -> None:
        self._selector.close()

    @property
    def idle(self) -> bool:
        """Nothing half-read: a next chunk would start clean."""
        return not self._partial_size and self.input_done and self.stdin_open and not self.out_ended

    def last_words(self) -> bytes:
        """An answer whose newline never came."""
        rest = b"".join(self._partial)
        self._partial, self._partial_size = [], 0
        return rest

    def _write(self) -> None:
        if not self._pending and self._source is not None:
            self._pending = memoryview(self._source.read(BLOCK))
        if not self._pending:
            self._selector.unregister(self._running.stdin)
            self.input_done = True
            if self._close_after_input:
                self.end_input()
            return
        try:
            self._pending = self._pending[os.write(self._running.stdin.fileno(), self._pending) :]
        except BlockingIOError:
            return
        except OSError:
            # The program closed its stdin: what it still answers counts, the rest is missing.
            self._pending = memoryview(b"")
            self._source = None

    def _read_lines(self) -> list[bytes]:
        data = self._read(self._running.stdout)
        if data is None:
            return []
        if not data:
            self._selector.unregister(self._running.stdout)
            self.out_ended = True
            return []
        first, newline, rest = data.partition(b"\n")
        self._partial.append(first)
        self._partial_size += len(first)
        lines: list[bytes] = []
        if newline:
            *whole, last = rest.split(b"\n")
            lines = [b"".join(self._partial), *whole]
            self._partial, self._partial_size = [last], len(last)
        if self._partial_size > self._line_max or any(len(line) > self._line_max for line in lines):
            self.overlong = True
            lines = lines[: next((n for n, line in enumerate(lines) if len(line) > self._line_max), len(lines))]
        return lines

    def _read_log(self) -> bool:
        data = self._read(self._running.stderr)
        if data is None:
            return False
        if not data:
            self._selector.unregister(self._running.stderr)
            self.err_ended = True
            return False
        if self._log is not None:
            self._log.write(data)
        return True

    @staticmethod
    def _read(pipe: IO[bytes]) -> bytes | None:
        """None: nothing now. Empty: the end."""
        try:
            return os.read(pipe.fileno(), BLOCK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

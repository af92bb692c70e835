"""A container's stderr, kept whole up to a size; beyond it the beginning and the end are kept, cut at line ends."""

import threading
from collections import deque
from pathlib import Path
from typing import BinaryIO

from fallow.core.log_gap import head_bytes, marker_line

TAIL_CHARACTERS = 2000


class CappedLog:
    """Takes any amount of bytes. The file holds at most about size_bytes_max; a marker line says what is missing.

    Written by one thread; read, while it grows, by another.
    """

    def __init__(self, path: Path, size_bytes_max: int) -> None:
        self.path = path
        self._head_max = head_bytes(size_bytes_max)
        self._tail_max = size_bytes_max // 2
        self._file: BinaryIO = path.open("wb")
        self._head_size = 0
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._dropped = 0
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Never blocks on anything but the disk, never uses more than the cap."""
        with self._lock:
            room = self._head_max - self._head_size
            if room > 0:
                head, data = data[:room], data[room:]
                self._file.write(head)
                self._head_size += len(head)
            if data:
                self._tail.append(data)
                self._tail_size += len(data)
                while self._tail_size - len(self._tail[0]) > self._tail_max:
                    gone = self._tail.popleft()
                    self._tail_size -= len(gone)
                    self._dropped += len(gone)

    def since(self, start: int, size_bytes_max: int) -> tuple[int, bytes]:
        """What was written after the first `start` bytes: (how many were written before it, the bytes).

        Only the newest where that is too much, or where something between was dropped; nothing once the log is closed.
        """
        with self._lock:
            if self._file.closed:
                return start, b""
            tail_start = self._head_size + self._dropped
            written = tail_start + self._tail_size
            start = max(start, written - size_bytes_max)
            if self._dropped and start < tail_start:
                start = tail_start
            head = self._head(start) if start < self._head_size else b""
            tail = b"".join(self._tail) if start < written else b""
        return start, head + tail[max(0, start - tail_start) :]

    def _head(self, start: int) -> bytes:
        self._file.flush()
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read()

    def close(self) -> None:
        """Joins beginning and end. May be called twice."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file.closed:
            return
        tail = b"".join(self._tail)
        over = max(0, len(tail) - self._tail_max)
        if self._dropped or over:
            dropped = self._dropped + over
            tail = tail[over:]
            newline = tail.find(b"\n")
            dropped += newline + 1
            tail = tail[newline + 1 :]
            self._file.write(marker_line(dropped))
        self._file.write(tail)
        self._file.close()

    @property
    def size_bytes(self) -> int:
        """Of the closed file."""
        return self.path.stat().st_size

    def tail(self) -> str:
        """The last lines, for a person."""
        self.close()
        with self.path.open("rb") as file:
            file.seek(max(0, self.size_bytes - 4 * TAIL_CHARACTERS))
            return file.read().decode("utf-8", "replace")[-TAIL_CHARACTERS:]

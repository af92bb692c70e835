"""A container's stderr, kept whole up to a size; beyond it the beginning and the end are kept, cut at line ends."""

from collections import deque
from pathlib import Path
from typing import BinaryIO

TAIL_CHARACTERS = 2000


class CappedLog:
    """Takes any amount of bytes. The file holds at most about size_bytes_max; a marker line says what is missing."""

    def __init__(self, path: Path, size_bytes_max: int) -> None:
        self.path = path
        self._head_max = size_bytes_max - size_bytes_max // 2
        self._tail_max = size_bytes_max // 2
        self._file: BinaryIO = path.open("wb")
        self._head_size = 0
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._dropped = 0

    def write(self, data: bytes) -> None:
        """Never blocks on anything but the disk, never uses more than the cap."""
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

    def close(self) -> None:
        """Joins beginning and end. May be called twice."""
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
            self._file.write(b"\n[fallow: %d bytes of the log were dropped here]\n" % dropped)
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

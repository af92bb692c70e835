"""Writing a file that must be whole and durable before anybody sees it: the part that store and outputs share."""

import errno
import hashlib
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Final

from fallow.artifacts.port import READ_BYTES, Stored
from fallow.core.refusals import Code, Refusal

SPACE_CHECK_BYTES: Final = 64 * 1024 * 1024  # a long write looks at the free space this often
DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FileWriter:
    """The port's Writer over an open, unbuffered file, which its owner closes and names.

    refuse: makes the refusal for what the disk said. check_space: raises a refusal when the disk is nearly full.
    """

    def __init__(self, file: FileIO, refuse: Callable[[OSError], Refusal], check_space: Callable[[], None]) -> None:
        self.size_bytes = 0
        self._file = file
        self._refuse = refuse
        self._check_space = check_space
        self._pending = bytearray()
        self._digest = hashlib.sha256()
        self._stored: Stored | None = None

    @property
    def stored(self) -> Stored:
        if self._stored is None:
            raise RuntimeError("the object is not written yet")
        return self._stored

    def sha256(self) -> str:
        """Of the bytes so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        before = self.size_bytes // SPACE_CHECK_BYTES
        self.size_bytes += len(data)
        if self.size_bytes // SPACE_CHECK_BYTES != before:
            self._check_space()
        self._digest.update(data)
        self._pending += data
        if len(self._pending) >= READ_BYTES:
            self._flush()

    def sync(self) -> None:
        """All bytes are on the disk when this returns."""
        self._flush()
        try:
            os.fsync(self._file.fileno())
        except OSError as wrong:
            raise self._refuse(wrong) from None

    def name(self, key: str) -> None:
        """Say what it is called now; after this it is `stored`."""
        etag = etag_of(os.fstat(self._file.fileno()))
        self._stored = Stored(key, self.sha256(), self.size_bytes, etag)

    def _flush(self) -> None:
        left = memoryview(bytes(self._pending))
        self._pending.clear()
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as wrong:
            raise self._refuse(wrong) from None


def etag_of(found: os.stat_result) -> str:
    """What we call this version of a file: it changes when the file is written to or replaced."""
    return f"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}"


def reason(wrong: OSError) -> str:
    """What the system said, as the end of a sentence."""
    return (wrong.strerror or str(wrong)).lower()


def check_space(where: Path, reserve_bytes: int) -> None:
    """Raises Refusal STORAGE_FULL when less than the reserve is free on the disk of `where`, and OSError."""
    found = os.statvfs(where)
    free = found.f_bavail * found.f_frsize
    if free < reserve_bytes:
        raise storage_full(where, f"{free} bytes are free and {reserve_bytes} are kept in reserve")


def storage_full(where: Path | str, why: str) -> Refusal:
    return Refusal(
        Code.STORAGE_FULL,
        f"The disk of {where} is full: {why}.",
        "Free some space or move the data directory; nothing that was accepted is lost.",
    )

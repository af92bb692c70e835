"""Where inputs are read and outputs are written: the ports in front of `file:`, `s3:`, `http(s):` and `fallow:`."""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fallow.artifacts.port import SignedUrl, Writer
from fallow.core.refusals import Code, Refusal


@dataclass(frozen=True, slots=True)
class SourceHead:
    """etag: changes when the bytes do; "" when the place cannot tell."""

    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a directory or prefix. name: relative to it, with "/" between components. uri: opens it alone."""

    name: str
    uri: str
    size_bytes: int
    etag: str


class Source(Protocol):
    """Bytes of the submitter's, or a directory of them. Nothing is opened before it is asked for.

    Every method may raise Refusal INPUT_MISSING, INPUT_UNREADABLE, INPUT_NOT_ALLOWED or ADDRESS_FORBIDDEN.
    """

    @property
    def uri(self) -> str: ...

    def head(self) -> SourceHead:
        """Size and version. A directory has none: INPUT_UNREADABLE."""
        ...

    def read(self, start: int, length: int) -> bytes:
        """At most `length` bytes from `start`."""
        ...

    def stream(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start`, at most `length` of them (None: to the end), in pieces."""
        ...

    def list(self) -> Iterator[Entry]:
        """The objects below, in the order of their names' bytes; hidden ones and links are left out."""
        ...

    def sign(self, expires_seconds: float, offset: int = 0, length: int | None = None) -> SignedUrl | None:
        """A URL that opens an extent for a worker; None where only the door can serve it (a Grant with this URI).

        The bytes behind it are those of the moment; whether they have changed since is not checked.
        """
        ...

    def local_path(self) -> Path | None:
        """The file itself, to be read only; None when there is none on this machine."""
        ...


class Target(Protocol):
    """A directory or prefix for a job's outputs. Names are plain file names.

    Every method may raise Refusal OUTPUT_UNWRITABLE or OUTPUT_NOT_ALLOWED; readers also NOT_FOUND.
    """

    @property
    def uri(self) -> str: ...

    def uri_of(self, name: str) -> str:
        """The URI of one output."""
        ...

    def exists(self) -> bool:
        """Whether anything is there already."""
        ...

    def check_writable(self) -> None:
        """Write something and remove it again, so that a refusal comes at the door and not after the work."""
        ...

    def stream_writer(self, name: str) -> AbstractContextManager[Writer]:
        """Write an output piece by piece; it appears, whole and durable, when the context ends without an exception."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Write an output at once."""
        ...

    def read(self, name: str) -> bytes:
        """All of a small output."""
        ...

    def stream(self, name: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """An output, in pieces."""
        ...

    def delete(self, name: str) -> None:
        """Remove an output; one that is not there is no error."""
        ...


class SourceFile(io.RawIOBase):
    """A source as a seekable file, for readers that want one (Parquet). Each read is one ranged read."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self._size = source.head().size_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed says Buffer, which 3.11 cannot name
        data = self._source.read(self._at, min(len(buffer), max(self._size - self._at, 0)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def input_missing(uri: str) -> Refusal:
    return Refusal(Code.INPUT_MISSING, f"There is no input at {uri}.", "Check the spelling, and that it is there.")


def input_unreadable(uri: str, why: str, remedy: str = "Check that this server may read it.") -> Refusal:
    return Refusal(Code.INPUT_UNREADABLE, f"The input {uri} cannot be read: {why}.", remedy)


def output_unwritable(uri: str, why: str, remedy: str = "Check that this server may write there.") -> Refusal:
    return Refusal(Code.OUTPUT_UNWRITABLE, f"Outputs cannot be written to {uri}: {why}.", remedy)

"""What the rest of fallow knows of the object store: keys, bytes, and nothing about where they are.

A key is a path such as "jobs/job-1/attempts/31": components of letters, digits and `_ . = @ ~ : -` joined by "/".
`blobs/<sha256>` holds content-addressed bytes. Nothing here decides which object counts; that is a row in the database.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from fallow.core.refusals import Code, Refusal

KEY_BYTES_MAX: Final = 800  # S3 allows 1024, and the bucket prefix is part of it
READ_BYTES: Final = 1024 * 1024  # the size of the pieces that streams are made of
_COMPONENT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=@~:-]{0,199}\Z")
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")


class Verb(StrEnum):
    """What a signed URL allows."""

    GET = "GET"
    PUT = "PUT"


@dataclass(frozen=True, slots=True)
class Stored:
    """What was written. sha256: hexadecimal, of the bytes as they went by."""

    key: str
    sha256: str
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class Head:
    """What is there. etag: changes when the bytes do; compare it only with one from the same store."""

    key: str
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A URL that opens one object. offset, length: what the reader must still ask for with a Range header; both 0 when
    the URL's whole body is what was signed. They have the meaning of ChunkInput's members on the wire."""

    url: str
    offset: int = 0
    length: int = 0


class Writer(Protocol):
    """An object that is being written. It appears under its key when the context ends, whole or not at all."""

    @property
    def size_bytes(self) -> int:
        """Bytes written so far."""
        ...

    @property
    def stored(self) -> Stored:
        """What was written; only after the context has ended."""
        ...

    def write(self, data: bytes) -> None:
        """Append. Raises Refusal STORAGE_FULL or STORAGE_UNREACHABLE."""
        ...


class ArtifactStore(Protocol):
    """Bytes by key. Every method may raise Refusal STORAGE_UNREACHABLE, and BAD_REQUEST for a key that cannot be one.

    A write is durable and whole when its method returns; a reader sees the old object or the new one, never a part.
    Safe to use from many threads and processes.
    """

    def put(self, key: str, chunks: Iterable[bytes]) -> Stored:
        """Write an object, replacing what was there. An exception from `chunks` leaves nothing behind.

        Raises Refusal STORAGE_FULL.
        """
        ...

    def put_blob(self, chunks: Iterable[bytes], expected_sha256: str | None = None) -> Stored:
        """Write under `blobs/<sha256>`; the same bytes twice are one object.

        Raises Refusal DIGEST_MISMATCH (nothing is kept) or STORAGE_FULL.
        """
        ...

    def put_file(self, key: str, path: Path) -> Stored:
        """Take a local file over: it is gone from `path` afterwards. Raises Refusal STORAGE_FULL."""
        ...

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write a small object unless there is one; True if it was written.

        On some S3-compatible servers two callers at once may both be told True, so no decision may rest on it.
        """
        ...

    def stream_writer(self, key: str) -> AbstractContextManager[Writer]:
        """Write an object piece by piece. Leaving by an exception leaves nothing behind."""
        ...

    def get(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start`, at most `length` of them (None: to the end), in pieces of about READ_BYTES.

        Past the end there are none. Raises Refusal NOT_FOUND, at the call, not at the first piece.
        """
        ...

    def read(self, key: str, start: int, length: int) -> bytes:
        """At most `length` bytes from `start`, in one piece. Raises Refusal NOT_FOUND."""
        ...

    def head(self, key: str) -> Head | None:
        """Size and etag, or None when there is no such object."""
        ...

    def list(self, prefix: str = "") -> Iterator[Head]:
        """Every object under `prefix/` (whole components), in no order. "": all."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are no error."""
        ...

    def path_of(self, key: str) -> Path | None:
        """The local file that holds the object, to be read only; None when there is none or the store has no files."""
        ...

    def sign(
        self,
        key: str,
        verb: Verb,
        expires_seconds: float,
        *,
        offset: int = 0,
        length: int | None = None,
        size_bytes_max: int | None = None,
    ) -> SignedUrl:
        """A URL for one object and one verb. Where the store cannot confine it to a range, the range comes back in
        SignedUrl; where it cannot bound an upload's size, the size is for the verifier to check."""
        ...

    def ping(self) -> None:
        """Check that the store can be written to and read from. Raises Refusal STORAGE_UNREACHABLE or STORAGE_FULL."""
        ...


def checked_key(key: str) -> str:
    """The key itself. Raises Refusal BAD_REQUEST for what cannot be one."""
    if len(key) > KEY_BYTES_MAX or not all(is_component(each) for each in key.split("/")):
        raise Refusal(
            Code.BAD_REQUEST,
            f"{key[:80]!r} cannot name an object.",
            "Use letters, digits and _ . = @ ~ : - in components of at most 200 characters, joined by single slashes.",
        )
    return key


def is_component(name: str) -> bool:
    """Whether this is one safe component of a key. "." and ".." and hidden names are not."""
    return _COMPONENT.match(name) is not None


def blob_key(sha256: str) -> str:
    """Where the bytes with this digest are. Raises Refusal BAD_REQUEST for what is not 64 lower-case hex digits."""
    if not _SHA256.match(sha256):
        raise Refusal(Code.BAD_REQUEST, f"{sha256[:80]!r} is not a SHA-256 in lower-case hexadecimal.")
    return f"blobs/{sha256}"


def not_found(key: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"There is no object {key!r}.")


def digest_mismatch(expected: str, actual: str) -> Refusal:
    return Refusal(
        Code.DIGEST_MISMATCH,
        f"The bytes have SHA-256 {actual}, not {expected}.",
        "Send them again; if it happens twice, the sender's copy is damaged.",
        {"expected": expected, "actual": actual},
    )


def checked_range(start: int, length: int | None) -> None:
    """Raises ValueError: a negative range is our own mistake, never the caller's."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError(f"a range of {length} bytes from {start}")

"""What the door does for whoever holds a signed URL: read a range, or receive an upload that may come in pieces.

Nothing here knows HTTP beyond the values of two headers. An upload with Content-Range is collected in a local `.part`
file until it is whole, and only then becomes an object; where several door processes share no disk, a load balancer
must keep one upload with one of them, or the sender is told the offset to go on from.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import NoReturn

from fallow.artifacts.file_writer import reason, storage_full
from fallow.artifacts.filesystem import sweep
from fallow.artifacts.locations import Source
from fallow.artifacts.port import ArtifactStore, digest_mismatch, not_found
from fallow.artifacts.ranges import Part, Span, part_of, span_of
from fallow.artifacts.signing import Grant
from fallow.core.refusals import Code, Refusal


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. body: yields at most as many bytes as its Content-Length says."""

    status: int
    headers: Mapping[str, str]
    body: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Received:
    """How far an upload is. size_bytes: of what is there. sha256: of a whole object that came just now, else ""."""

    size_bytes: int
    complete: bool = False
    sha256: str = ""


class Served:
    """The bytes behind signed URLs. uploads: a local directory for unfinished uploads; best on the store's own disk,
    where a finished one is only renamed. open_source: how a grant's URI is opened."""

    def __init__(self, store: ArtifactStore, uploads: Path, open_source: Callable[[str], Source]) -> None:
        self._store = store
        self._uploads = uploads
        self._open_source = open_source
        uploads.mkdir(parents=True, exist_ok=True)

    def read_range(self, grant: Grant, range_header: str | None = None, name: str = "") -> Reply:
        """The extent that the grant opens, or the part of it that the Range header asks for (counted from its start).

        Raises Refusal NOT_FOUND, INPUT_CHANGED, INPUT_MISSING, RANGE_NOT_SATISFIABLE or URL_INVALID.
        """
        whole = self._opened(grant, name)
        extent = _extent(grant, whole.size_bytes)
        span = span_of(range_header, extent.length)
        wanted = span or Span(0, extent.length)
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Length": str(wanted.length),
            "Content-Type": "application/octet-stream",
            "ETag": f'"{whole.etag}-{extent.start:x}-{extent.length:x}"',
        }
        if span:
            last = span.start + span.length - 1
            headers["Content-Range"] = f"bytes {span.start}-{last}/{extent.length}"
        body = whole.stream(extent.start + wanted.start, wanted.length)
        return Reply(206 if span else 200, headers, body)

    def receive(
        self,
        grant: Grant,
        chunks: Iterable[bytes],
        content_range: str | None = None,
        name: str = "",
        expected_sha256: str | None = None,
    ) -> Received:
        """Take an upload: all of it, or with a Content-Range the next piece of it.

        A piece that breaks off is kept as far as it came; one that starts at 0 starts the upload over. A piece of an
        upload that was whole already is answered as done, so a sender who missed the answer may repeat itself.
        expected_sha256: of the whole object.
        Raises Refusal TOO_LARGE, OFFSET_CONFLICT (details hold `offset`, where to go on), DIGEST_MISMATCH,
        STORAGE_FULL, BAD_REQUEST or URL_INVALID.
        """
        key = grant.key_for(name)
        if content_range is None:
            return self._receive_whole(grant, key, chunks, expected_sha256)
        part = part_of(content_range)
        _check_size(grant, part.total)
        done = self._done(key, part)
        if done:
            return done
        with self._part_of(key) as file:
            have = file.seek(0, os.SEEK_END)
            if part.span:
                have = _at_offset(file, part.span, have)
                have = _append(file, have, part.span, chunks, grant)
            if part.total != have:
                return Received(have)
            return self._complete(key, file, expected_sha256)

    def upload_size(self, grant: Grant, name: str = "") -> Received:
        """How much of an upload is there: of the piece-wise one that is under way, else of the object itself."""
        key = grant.key_for(name)
        path = self._part_path(key)
        if path.exists():
            return Received(path.stat().st_size)
        head = self._store.head(key)
        return Received(head.size_bytes, complete=True) if head else Received(0)

    def sweep(self, older_than_seconds: float) -> int:
        """Remove unfinished uploads that nobody went on with for so long; how many."""
        return sweep(self._uploads, older_than_seconds)

    def _opened(self, grant: Grant, name: str) -> "_Whole":
        if grant.uri:
            source = self._open_source(grant.uri)
            found = source.head()
            if grant.etag not in ("", found.etag):
                raise Refusal(
                    Code.INPUT_CHANGED,
                    f"{grant.uri} has changed since the job was submitted.",
                    "Submit the job again, and leave its input alone while it runs.",
                )
            return _Whole(found.size_bytes, found.etag, source.stream)
        key = grant.key_for(name)
        head = self._store.head(key)
        if head is None:
            raise not_found(key)
        return _Whole(head.size_bytes, head.etag, lambda start, length: self._store.get(key, start, length))

    def _receive_whole(self, grant: Grant, key: str, chunks: Iterable[bytes], expected: str | None) -> Received:
        with self._store.stream_writer(key) as writer:
            digest = hashlib.sha256()
            for chunk in chunks:
                _check_size(grant, writer.size_bytes + len(chunk))
                writer.write(chunk)
                digest.update(chunk)
            if expected not in (None, digest.hexdigest()):
                raise digest_mismatch(expected or "", digest.hexdigest())
        return Received(writer.size_bytes, True, writer.stored.sha256)

    def _done(self, key: str, part: Part) -> Received | None:
        """The object, when this piece can only be the repetition of one that completed it."""
        if part.total is None or (part.span and part.span.start == 0) or self._part_path(key).exists():
            return None
        head = self._store.head(key)
        if head is None or head.size_bytes != part.total:
            return None
        return Received(head.size_bytes, complete=True)

    def _complete(self, key: str, file: FileIO, expected: str | None) -> Received:
        path = self._part_path(key)
        if expected is not None:
            file.seek(0)
            actual = hashlib.file_digest(file, "sha256").hexdigest()
            if actual != expected:
                path.unlink()
                raise digest_mismatch(expected, actual)
        stored = self._store.put_file(key, path)
        return Received(stored.size_bytes, True, stored.sha256)

    @contextlib.contextmanager
    def _part_of(self, key: str) -> Iterator[FileIO]:
        """The unfinished upload of this object, for this caller alone; removed if it stays empty."""
        path = self._part_path(key)
        with path.open("a+b", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _conflict(os.fstat(file.fileno()).st_size, "Another request is sending the same upload.")
            if not (path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))):
                _conflict(0, "Another request has just finished the same upload.")
            try:
                yield file
            finally:
                if path.exists() and path.stat().st_size == 0:
                    path.unlink(missing_ok=True)

    def _part_path(self, key: str) -> Path:
        return self._uploads / f"{hashlib.sha256(key.encode()).hexdigest()}.part"


@dataclass(frozen=True, slots=True)
class _Whole:
    size_bytes: int
    etag: str
    stream: Callable[[int, int | None], Iterator[bytes]]


def _extent(grant: Grant, size_bytes: int) -> Span:
    start = min(grant.offset, size_bytes)
    left = size_bytes - start
    return Span(start, left if grant.length is None else min(grant.length, left))


def _append(file: FileIO, have: int, span: Span, chunks: Iterable[bytes], grant: Grant) -> int:
    """Write a piece behind what is there; the new size. Keeps what arrived when the sender breaks off."""
    arrived = 0
    try:
        for chunk in chunks:
            if arrived + len(chunk) > span.length:
                file.truncate(have)
                raise Refusal(Code.BAD_REQUEST, f"The piece is longer than the {span.length} bytes it said.")
            _check_size(grant, have + arrived + len(chunk))
            _write_all(file, chunk)
            arrived += len(chunk)
    finally:
        os.fsync(file.fileno())
    return have + arrived


def _write_all(file: FileIO, chunk: bytes) -> None:
    left = memoryview(chunk)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as wrong:
        raise storage_full(Path(str(file.name)).parent, reason(wrong)) from None


def _at_offset(file: FileIO, span: Span, have: int) -> int:
    """Where this piece goes: behind what is there, or at 0 to start over."""
    if span.start == 0:
        file.truncate(0)
        return 0
    if span.start != have:
        _conflict(have, f"The upload has {have} bytes, and this piece starts at {span.start}.")
    return have


def _conflict(have: int, message: str) -> NoReturn:
    raise Refusal(Code.OFFSET_CONFLICT, message, "Ask for the offset with HEAD and go on from there.", {"offset": have})


def _check_size(grant: Grant, size_bytes: int | None) -> None:
    if size_bytes is not None and grant.size_bytes_max is not None and size_bytes > grant.size_bytes_max:
        raise Refusal(
            Code.TOO_LARGE,
            f"The upload has more than the {grant.size_bytes_max} bytes that are allowed.",
            "Raise the job's output limit, or write less.",
            {"size_bytes_max": grant.size_bytes_max},
        )

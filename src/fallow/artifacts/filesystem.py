"""Objects as files in the data directory.

`objects/jobs+/job-1+/2f/31` is "jobs/job-1/31": a component that leads on ends in "+", which no key contains, and the
last one lies in one of 1024 directories chosen by its MD5. So no directory grows huge, a prefix can be listed, and "a"
and "a/b" are both possible. `tmp/` holds what is being written; a rename puts it in place.
Source of the fan-out: BOINC sched/sched_util_basic.cpp, dir_hier_path().
"""

import contextlib
import errno
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from fallow.artifacts.file_writer import DISK_FULL, FileWriter, check_space, etag_of, reason, storage_full
from fallow.artifacts.port import (
    READ_BYTES,
    Head,
    SignedUrl,
    Stored,
    Verb,
    blob_key,
    checked_key,
    checked_range,
    digest_mismatch,
    not_found,
)
from fallow.artifacts.signing import Grant, Signer
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros

FANOUT: Final = 1024
RESERVE_BYTES: Final = 256 * 1024 * 1024  # left free for the database, which must be able to write its log


class FilesystemStore:
    """ArtifactStore in a directory. reserve_bytes: writes are refused when less than this is free on its disk."""

    def __init__(
        self,
        root: Path,
        signer: Signer,
        now: Callable[[], Micros],
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        self.root = root
        self.reserve_bytes = reserve_bytes
        self._signer = signer
        self._now = now
        self._objects = root / "objects"
        self._temporary = root / "tmp"
        with _reaching(root):
            for each in (self._objects, self._temporary):
                _make_directories(each)

    def put(self, key: str, chunks: Iterable[bytes]) -> Stored:
        with self.stream_writer(key) as writer:
            for chunk in chunks:
                writer.write(chunk)
        return writer.stored

    def put_blob(self, chunks: Iterable[bytes], expected_sha256: str | None = None) -> Stored:
        if expected_sha256 is not None:
            blob_key(expected_sha256)
        with self._written() as (writer, temporary):
            for chunk in chunks:
                writer.write(chunk)
            if expected_sha256 not in (None, writer.sha256()):
                raise digest_mismatch(expected_sha256 or "", writer.sha256())
            self._keep(writer, temporary, blob_key(writer.sha256()))
        return writer.stored

    def put_file(self, key: str, path: Path) -> Stored:
        checked_key(key)
        digest = hashlib.sha256()
        with _reaching(self.root), path.open("rb") as file:
            for piece in _pieces(file, None):
                digest.update(piece)
            size = file.tell()
            os.fsync(file.fileno())
            try:
                self._place(path, self._path(key))
            except OSError as wrong:
                if wrong.errno != errno.EXDEV:
                    raise
                file.seek(0)
                self.put(key, _pieces(file, None))
                path.unlink()
            etag = etag_of(self._path(key).stat())
        return Stored(key, digest.hexdigest(), size, etag)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        checked_key(key)
        with self._written() as (writer, temporary):
            writer.write(data)
            try:
                self._keep(writer, temporary, key, replace=False)
            except FileExistsError:
                return False
            return True

    @contextmanager
    def stream_writer(self, key: str) -> Iterator[FileWriter]:
        checked_key(key)
        with self._written() as (writer, temporary):
            yield writer
            self._keep(writer, temporary, key)

    def get(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        checked_range(start, length)
        file = self._open(key)
        file.seek(start)
        return _closing_pieces(file, length)

    def read(self, key: str, start: int, length: int) -> bytes:
        checked_range(start, length)
        with self._open(key) as file, _reaching(self.root):
            file.seek(start)
            return file.read(length)

    def head(self, key: str) -> Head | None:
        with _reaching(self.root):
            try:
                found = self._path(checked_key(key)).stat()
            except FileNotFoundError:
                self._check_mounted()
                return None
        return Head(key, found.st_size, etag_of(found))

    def list(self, prefix: str = "") -> Iterator[Head]:
        directory = self._objects
        self._check_mounted()
        if prefix:
            directory = self._directory(checked_key(prefix).split("/"))
        with _reaching(self.root):
            yield from _objects_in(directory, prefix)

    def delete(self, keys: Iterable[str]) -> None:
        with _reaching(self.root):
            for key in keys:
                path = self._path(checked_key(key))
                path.unlink(missing_ok=True)
                self._prune(path.parent)

    def path_of(self, key: str) -> Path | None:
        path = self._path(checked_key(key))
        return path if path.is_file() else None

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
        expires_at = Micros(self._now() + int(expires_seconds * 1_000_000))
        grant = Grant(verb, checked_key(key), expires_at, offset, length, size_bytes_max)
        return SignedUrl(self._signer.url(grant))

    def ping(self) -> None:
        self.put("ping/ping", [b"ping"])
        if self.read("ping/ping", 0, 4) != b"ping":
            raise _unreachable(self.root, "it does not give back what was written")

    def sweep(self, older_than_seconds: float) -> int:
        """Remove what processes that died left half-written, if nobody touched it for so long; how many files."""
        return sweep(self._temporary, older_than_seconds)

    @contextmanager
    def _written(self) -> Iterator[tuple[FileWriter, Path]]:
        """A writer to a temporary file, which is gone at the end unless it was kept."""
        self._check_space()
        temporary = self._temporary / uuid.uuid4().hex
        with _reaching(self.root):
            # Unbuffered: a buffer would be flushed once more on closing, and fail once more where the disk is full.
            file = temporary.open("xb", buffering=0)
        try:
            with file:
                yield FileWriter(file, lambda wrong: _refusal(self.root, wrong), self._check_space), temporary
        finally:
            temporary.unlink(missing_ok=True)

    def _keep(self, writer: FileWriter, temporary: Path, key: str, replace: bool = True) -> None:
        """Raises FileExistsError when it may not replace an object."""
        writer.sync()
        with _reaching(self.root):
            self._place(temporary, self._path(key), replace)
        writer.name(key)

    def _check_mounted(self) -> None:
        """An unmounted disk must not look like a store without objects."""
        if not (self._objects.is_dir() and self._temporary.is_dir()):
            raise _unreachable(self.root, "its directories are gone")

    def _check_space(self) -> None:
        self._check_mounted()
        with _reaching(self.root):
            check_space(self.root, self.reserve_bytes)

    def _path(self, key: str) -> Path:
        *leading, name = key.split("/")
        return self._directory(leading) / fan(name) / name

    def _directory(self, components: Sequence[str]) -> Path:
        return self._objects.joinpath(*(f"{each}+" for each in components))

    def _place(self, temporary: Path, path: Path, replace: bool = True) -> None:
        """Give a file its lasting name. Raises FileExistsError when it may not replace one."""
        while True:
            try:
                if replace:
                    temporary.replace(path)
                else:
                    os.link(temporary, path)
            except FileNotFoundError:
                if not temporary.exists():
                    raise _unreachable(self.root, "a file that was being written is gone") from None
                # Somebody who deletes may prune the directory while we make it, or before we are in: then once more.
                with contextlib.suppress(FileNotFoundError):
                    _make_directories(path.parent)
            else:
                _sync_directory(path.parent)
                return

    def _prune(self, directory: Path) -> None:
        """Remove directories that the last object left."""
        while directory != self._objects:
            try:
                directory.rmdir()
            except OSError:
                return
            directory = directory.parent

    def _open(self, key: str) -> BinaryIO:
        with _reaching(self.root):
            try:
                return self._path(checked_key(key)).open("rb")
            except FileNotFoundError:
                self._check_mounted()
                raise not_found(key) from None


def fan(name: str) -> str:
    """Which of the 1024 directories, "0" to "3ff". Source: BOINC sched/sched_util_basic.cpp, filename_hash()."""
    return f"{int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[1:8], 16) % FANOUT:x}"


def sweep(directory: Path, older_than_seconds: float) -> int:
    """Remove files directly in a directory that nobody wrote to for so long; how many."""
    removed = 0
    oldest = time.time() - older_than_seconds
    for entry in os.scandir(directory):
        with contextlib.suppress(FileNotFoundError):
            if entry.stat().st_mtime < oldest:
                Path(entry.path).unlink()
                removed += 1
    return removed


def _objects_in(directory: Path, prefix: str) -> Iterator[Head]:
    for entry in _entries(directory):
        inner = directory / entry.name
        if entry.name.endswith("+"):
            yield from _objects_in(inner, _joined(prefix, entry.name[:-1]))
            continue
        for file in _entries(inner):
            with contextlib.suppress(FileNotFoundError):
                found = file.stat()
                yield Head(_joined(prefix, file.name), found.st_size, etag_of(found))


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name


def _closing_pieces(file: BinaryIO, length: int | None) -> Iterator[bytes]:
    with file:
        yield from _pieces(file, length)


def _pieces(file: BinaryIO, length: int | None) -> Iterator[bytes]:
    left = length
    while left is None or left > 0:
        piece = file.read(READ_BYTES if left is None else min(left, READ_BYTES))
        if not piece:
            return
        if left is not None:
            left -= len(piece)
        yield piece


def _make_directories(path: Path) -> None:
    """Make a directory and what leads to it, so that they are still there after a power cut."""
    if path.is_dir():
        return
    _make_directories(path.parent)
    try:
        path.mkdir(exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, f"{path} is not a directory") from None
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return  # emptied and pruned by somebody since
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _reaching(root: Path) -> Iterator[None]:
    """Say in a refusal what the disk said. FileNotFoundError and FileExistsError are for the caller to judge."""
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as wrong:
        if wrong.errno == errno.EXDEV:
            raise
        raise _refusal(root, wrong) from None


def _refusal(root: Path, wrong: OSError) -> Refusal:
    if wrong.errno in DISK_FULL:
        return storage_full(root, reason(wrong))
    return _unreachable(root, reason(wrong))


def _unreachable(root: Path, why: str) -> Refusal:
    return Refusal(
        Code.STORAGE_UNREACHABLE,
        f"The data directory {root} cannot be used: {why}.",
        "Check that its disk is mounted and that this user may write to it.",
    )

"""Inputs and outputs in directories of this machine, below the roots that the operator allowed.

A path is resolved first, links and all, and must then lie below a root. It is opened component by component without
following links, so that nobody can swap a link in between the check and the opening.
"""

import contextlib
import errno
import os
import stat
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

from fallow.artifacts.file_writer import DISK_FULL, FileWriter, check_space, etag_of, reason, storage_full
from fallow.artifacts.locations import Entry, SourceHead, input_missing, input_unreadable, output_unwritable
from fallow.artifacts.port import READ_BYTES, SignedUrl, not_found
from fallow.core.refusals import Code, Refusal

_NAME_BYTES_MAX: Final = 255
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TEMPORARY: Final = ".part"


@dataclass(frozen=True, slots=True)
class Beneath:
    """A path below a root, with no links left in it. components: empty for the root itself."""

    root: Path
    components: tuple[str, ...]

    @property
    def path(self) -> Path:
        return self.root.joinpath(*self.components)


class FileSource:
    """Source of a file or a directory."""

    def __init__(self, uri: str, roots: Sequence[Path]) -> None:
        self.uri = uri
        self._roots = roots

    def head(self) -> SourceHead:
        with self._open() as file:
            found = os.fstat(file.fileno())
        return SourceHead(found.st_size, etag_of(found))

    def read(self, start: int, length: int) -> bytes:
        with self._open() as file, self._reading():
            file.seek(start)
            return file.read(length)

    def stream(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        file = self._open()
        file.seek(start)
        return self._pieces(file, length)

    def list(self) -> Iterator[Entry]:
        directory = self._beneath().path
        if directory.is_file():
            raise input_unreadable(self.uri, "it is a single file", "Name the directory, or say what format it has.")
        with self._reading():
            yield from _entries(directory, "")

    def sign(self, expires_seconds: float, offset: int = 0, length: int | None = None) -> SignedUrl | None:
        return None

    def local_path(self) -> Path | None:
        path = self._beneath().path
        return path if path.is_file() else None

    def _beneath(self) -> Beneath:
        path = path_of_uri(self.uri)
        beneath = find_beneath(path, self._roots) if path else None
        if beneath is None:
            raise Refusal(
                Code.INPUT_NOT_ALLOWED,
                f"{self.uri} is not below a directory that this server may read inputs from.",
                "Move it there, upload it, or ask the operator to allow its directory.",
            )
        return beneath

    def _open(self) -> BinaryIO:
        beneath = self._beneath()
        with self._reading():
            # O_NONBLOCK: opening a named pipe must not wait for a writer.
            file = os.fdopen(open_beneath(beneath, os.O_RDONLY | os.O_NONBLOCK), "rb")
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                file.close()
                raise input_unreadable(self.uri, "it is not a file", "Name a file, or take it as a set of objects.")
            return file

    def _pieces(self, file: BinaryIO, length: int | None) -> Iterator[bytes]:
        left = length
        with file, self._reading():
            while left is None or left > 0:
                piece = file.read(READ_BYTES if left is None else min(left, READ_BYTES))
                if not piece:
                    return
                left = None if left is None else left - len(piece)
                yield piece

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError):
            raise input_missing(self.uri) from None
        except IsADirectoryError:
            raise input_unreadable(self.uri, "it is a directory", "Take it as a set of objects.") from None
        except OSError as wrong:
            raise input_unreadable(self.uri, reason(wrong)) from None


class FileTarget:
    """Target in a directory, which is made when something is written. Names may have "/" in them."""

    def __init__(self, uri: str, roots: Sequence[Path], reserve_bytes: int) -> None:
        self.uri = uri
        self._roots = roots
        self._reserve_bytes = reserve_bytes

    def uri_of(self, name: str) -> str:
        return self._beneath().path.joinpath(*self._components(name)).as_uri()

    def exists(self) -> bool:
        with self._writing():
            try:
                return any(not name.endswith(_TEMPORARY) for name in os.listdir(self._beneath().path))
            except FileNotFoundError:
                return False

    def check_writable(self) -> None:
        name = f"{uuid.uuid4().hex}.check"
        self.put(name, b"")
        self.delete(name)

    @contextmanager
    def stream_writer(self, name: str) -> Iterator[FileWriter]:
        *leading, last = self._components(name)
        beneath = self._beneath()
        with self._writing():
            directory = open_directory(Beneath(beneath.root, (*beneath.components, *leading)), make=True)
        temporary = f".{uuid.uuid4().hex}{_TEMPORARY}"
        try:
            self._check_space()
            with self._writing():
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                file = os.fdopen(os.open(temporary, flags, 0o666, dir_fd=directory), "wb", buffering=0)
            with file:
                writer = FileWriter(file, self._refusal, self._check_space)
                yield writer
                writer.sync()
                with self._writing():
                    os.rename(temporary, last, src_dir_fd=directory, dst_dir_fd=directory)
                    os.fsync(directory)
                writer.name(name)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=directory)
            os.close(directory)

    def put(self, name: str, data: bytes) -> None:
        with self.stream_writer(name) as writer:
            writer.write(data)

    def read(self, name: str) -> bytes:
        return b"".join(self.stream(name))

    def stream(self, name: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        try:
            return FileSource(self.uri_of(name), self._roots).stream(start, length)
        except Refusal as refused:
            if refused.code is Code.INPUT_MISSING:
                raise not_found(name) from None
            raise

    def delete(self, name: str) -> None:
        *leading, last = self._components(name)
        beneath = self._beneath()
        with self._writing():
            try:
                directory = open_directory(Beneath(beneath.root, (*beneath.components, *leading)), make=False)
            except FileNotFoundError:
                return
            try:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(last, dir_fd=directory)
                os.fsync(directory)
            finally:
                os.close(directory)

    def _components(self, name: str) -> list[str]:
        components = name.split("/")
        for each in components:
            if each in ("", ".", "..") or "\0" in each or len(os.fsencode(each)) > _NAME_BYTES_MAX:
                raise output_unwritable(self.uri, f"{name[:80]!r} is no name for a file", "Rename it.")
        return components

    def _beneath(self) -> Beneath:
        path = path_of_uri(self.uri)
        beneath = find_beneath(path, self._roots) if path else None
        if beneath is None:
            raise Refusal(
                Code.OUTPUT_NOT_ALLOWED,
                f"{self.uri} is not below a directory that this server may write outputs to.",
                "Choose one that is, name none to leave the output with the server, or ask the operator to allow it.",
            )
        return beneath

    def _check_space(self) -> None:
        beneath = self._beneath()
        with self._writing():
            check_space(beneath.path, self._reserve_bytes)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as wrong:
            raise self._refusal(wrong) from None

    def _refusal(self, wrong: OSError) -> Refusal:
        if wrong.errno in DISK_FULL:
            return storage_full(self.uri, reason(wrong))
        return output_unwritable(self.uri, reason(wrong))


def path_of_uri(uri: str) -> Path | None:
    """The absolute path in `file:///path` (percent-encoded) or in a bare `/path`; None when there is none."""
    path = uri
    if not uri.startswith("/"):
        parts = urlsplit(uri)
        if parts.scheme != "file" or parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            return None
        path = unquote(parts.path)
    return Path(path) if path.startswith("/") and "\0" not in path else None


def find_beneath(path: Path, roots: Sequence[Path]) -> Beneath | None:
    """Where the path really is, if that is a root or below one. What is not there yet counts as it is written."""
    real = Path(os.path.realpath(path))
    for root in roots:
        real_root = Path(os.path.realpath(root))
        if real.is_relative_to(real_root):
            return Beneath(real_root, real.relative_to(real_root).parts)
    return None


def open_beneath(beneath: Beneath, flags: int) -> int:
    """A descriptor of a file. Raises OSError; for a link that was put there since, with ELOOP or ENOTDIR."""
    if not beneath.components:
        raise IsADirectoryError(errno.EISDIR, "it is a directory")
    directory = open_directory(Beneath(beneath.root, beneath.components[:-1]), make=False)
    try:
        return os.open(beneath.components[-1], flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    finally:
        os.close(directory)


def open_directory(beneath: Beneath, make: bool) -> int:
    """A descriptor of a directory, made durably if it is not there and may be. Raises OSError."""
    handle = os.open(beneath.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for component in beneath.components:
        try:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(component, dir_fd=handle)
                    os.fsync(handle)
            following = os.open(component, _DIRECTORY, dir_fd=handle)
        finally:
            os.close(handle)
        handle = following
    return handle


def _entries(directory: Path, prefix: str) -> Iterator[Entry]:
    """In the order of S3: by the bytes of the whole name, for which a directory counts as its name and a slash."""
    with os.scandir(directory) as found:
        shown = [(_sort_name(each), each) for each in found if not each.name.startswith(".")]
    for _, entry in sorted(shown, key=lambda pair: os.fsencode(pair[0])):
        name = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(directory / entry.name, name + "/")
        elif entry.is_file(follow_symlinks=False):
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                yield Entry(name, Path(entry.path).as_uri(), status.st_size, etag_of(status))


def _sort_name(entry: os.DirEntry[str]) -> str:
    return entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name

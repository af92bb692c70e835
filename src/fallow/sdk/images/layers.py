"""Layers: a folder as a tar archive that is the same bytes on each build.

Sorted names, no times, owner 0, and modes of two kinds only (may be run, or not), because a checkout's modes depend on
the umask of whoever made it.
"""

import gzip
import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

STICKY = frozenset({"tmp", "var/tmp"})  # everybody may write there
GZIP_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Layer:
    """A blob in a layout. digest: of the file. diff_id: of the tar archive inside. Both "sha256:..."."""

    digest: str
    diff_id: str
    size_bytes: int
    gzipped: bool
    title: str


def write_layer(root: Path, blobs: Path, title: str, compress: bool) -> Layer:
    """Archives everything below `root` into the folder `blobs`, under its digest."""
    partial = blobs / f".{title}.part"
    with partial.open("wb") as raw:
        blob = _Hashing(raw)
        if compress:
            # An empty file name and no time: gzip would write both into its header.
            with gzip.GzipFile("", "wb", GZIP_LEVEL, blob, mtime=0) as squeezed:
                archive = _Hashing(squeezed)
                _write_tar(root, archive)
        else:
            archive = blob
            _write_tar(root, archive)
    digest = blob.sha256.hexdigest()
    partial.replace(blobs / digest)
    return Layer(f"sha256:{digest}", f"sha256:{archive.sha256.hexdigest()}", blob.size, compress, title)


def _write_tar(root: Path, sink: "_Hashing") -> None:
    # The GNU format keeps long names and, unlike PAX, adds no records of its own.
    with tarfile.open(fileobj=cast("IO[bytes]", sink), mode="w|", format=tarfile.GNU_FORMAT) as tar:
        for path, name in _walk(root, ""):
            entry = _entry(path, name)
            if entry.isreg():
                with path.open("rb") as source:
                    tar.addfile(entry, source)
            else:
                tar.addfile(entry)


def _walk(folder: Path, prefix: str) -> Iterator[tuple[Path, str]]:
    for name in sorted(os.listdir(folder)):
        path, full = folder / name, prefix + name
        yield path, full
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, full + "/")


def _entry(path: Path, name: str) -> tarfile.TarInfo:
    """Hard links become files: which of them is the first depends on the file system."""
    status = path.lstat()
    entry = tarfile.TarInfo(name)
    if stat.S_ISLNK(status.st_mode):
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, os.readlink(path), 0o777
    elif stat.S_ISDIR(status.st_mode):
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name in STICKY else 0o755
    else:
        entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o111 else 0o644
    return entry


class _Hashing:
    """Passes bytes on, and knows their hash and number."""

    def __init__(self, sink: "BinaryIO | gzip.GzipFile") -> None:
        self.sink = sink
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.size += len(data)
        return self.sink.write(data)

    def flush(self) -> None:
        self.sink.flush()

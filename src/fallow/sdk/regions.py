"""Reads parts of output.jsonl: hashes a chunk's bytes, its lines and its error lines in one pass.

Memory is bounded by one piece, however long a line is.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from fallow.core.locator import Locator
from fallow.core.merkle import Tree

PIECE_BYTES = 1 << 20
_ERROR_HEADS = (b'{"error":', b'{"error" :', b'{ "error"')  # what workers and servers count as an error begins so


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """An answer whose first member is an "error" object. offset: in the region. code, message: None if not text."""

    offset: int
    code: str | None
    message: str | None


@dataclass(slots=True)
class Region:
    """What a run of bytes is. lines: the last one may lack its newline."""

    start: int
    size_bytes: int = 0
    lines: int = 0
    sha256: str = ""
    items_root: str = ""
    locator: Locator = field(default_factory=Locator)
    leaves: list[bytes] = field(default_factory=list)
    errors: list[ErrorLine] = field(default_factory=list)


class Bytes(Protocol):
    """Whatever wants to see the bytes too, such as the hash of the whole file."""

    def update(self, data: bytes, /) -> None: ...


def read_region(
    file: BinaryIO, size_bytes: int | None, lines: int | None, also: Bytes | None = None, keep_leaves: bool = False
) -> Region:
    """The next `size_bytes` bytes (None: any number) or `lines` lines, fewer where the file ends."""
    region = Region(file.tell())
    own, tree = hashlib.sha256(), Tree()
    hashes = (own, also) if also else (own,)
    while lines is None or region.lines < lines:
        line = _read_line(file, None if size_bytes is None else size_bytes - region.size_bytes, hashes)
        if line is None:
            break
        tree.add_hash(line.leaf)
        region.locator.add_hash(line.leaf)
        region.size_bytes += line.size_bytes
        if keep_leaves:
            region.leaves.append(line.leaf)
        if _begins_as_error(line.text):
            region.errors.extend(_error_in(line.text, region.lines))
        region.lines += 1
    region.sha256, region.items_root = own.hexdigest(), tree.root()
    return region


@dataclass(frozen=True, slots=True)
class _Line:
    """text: empty for a line of more than one piece, unless it looks like an error."""

    size_bytes: int
    leaf: bytes
    text: bytes


def _read_line(file: BinaryIO, size_bytes: int | None, hashes: Iterable[Bytes]) -> _Line | None:
    """The next line, cut at size_bytes; None at the end."""
    leaf = hashlib.sha256(b"\x00")
    held: list[bytes] = []
    length = 0
    while size_bytes is None or length < size_bytes:
        piece = file.readline(PIECE_BYTES if size_bytes is None else min(PIECE_BYTES, size_bytes - length))
        if not piece:
            break
        for each in hashes:
            each.update(piece)
        leaf.update(piece.removesuffix(b"\n"))
        length += len(piece)
        if not held or _begins_as_error(held[0]):
            held.append(piece)
        else:
            held[0] = b""
        if piece.endswith(b"\n"):
            break
    return _Line(length, leaf.digest(), b"".join(held)) if length else None


def _begins_as_error(line: bytes) -> bool:
    return line.lstrip()[:12].startswith(_ERROR_HEADS)


def first_broken_line(file: BinaryIO, region: Region) -> int | None:
    """The offset of the first line that is not JSON; None when all are. Lines beyond a piece are not looked at."""
    for offset, line in enumerate(_lines(file, region)):
        if len(line) < PIECE_BYTES:
            try:
                json.loads(line)
            except (ValueError, RecursionError):
                return offset
    return None


def _lines(file: BinaryIO, region: Region) -> Iterator[bytes]:
    file.seek(region.start)
    left = region.size_bytes
    while left > 0:
        line = file.readline(min(left, PIECE_BYTES))
        if not line:
            return
        left -= len(line)
        yield line


def _error_in(line: bytes, offset: int) -> Iterator[ErrorLine]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, dict):
        code, message = error.get("code"), error.get("message")
        yield ErrorLine(offset, code if isinstance(code, str) else None, message if isinstance(message, str) else None)

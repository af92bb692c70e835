"""Reads parts of output.jsonl: hashes a chunk's bytes, its lines and its error lines in one pass.

Memory is bounded by one piece, however long a line is.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from fallow.core.locator import Locator
from fallow.core.merkle import Tree

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """An answer {"error": {...}}. offset: in the region. code, message: None where they are not text."""

    offset: int
    code: str | None
    message: str | None


@dataclass(slots=True)
class Region:
    """What a run of bytes is. lines: newlines in it, and one more when it does not end with one."""

    start: int
    size_bytes: int = 0
    lines: int = 0
    sha256: str = ""
    items_root: str = ""
    locator: Locator = field(default_factory=Locator)
    leaves: list[bytes] = field(default_factory=list)
    errors: list[ErrorLine] = field(default_factory=list)
    ends_line: bool = True


class Bytes(Protocol):
    """Whatever wants to see the bytes too, such as the hash of the whole file."""

    def update(self, data: bytes, /) -> None: ...


def read_region(
    file: BinaryIO, size_bytes: int | None, lines: int | None, also: Bytes | None = None, keep_leaves: bool = False
) -> Region:
    """The next `size_bytes` bytes (None: any number) or `lines` lines, fewer where the file ends."""
    region = Region(file.tell())
    own, tree = hashlib.sha256(), Tree()
    while (lines is None or region.lines < lines) and (size_bytes is None or region.size_bytes < size_bytes):
        head = b""
        leaf = hashlib.sha256(b"\x00")
        length = 0
        while True:
            left = PIECE_BYTES if size_bytes is None else min(PIECE_BYTES, size_bytes - region.size_bytes)
            piece = file.readline(left) if left else b""
            own.update(piece)
            if also:
                also.update(piece)
            region.size_bytes += len(piece)
            length += len(piece)
            leaf.update(piece.removesuffix(b"\n"))
            head = head or piece
            if not piece or piece.endswith(b"\n"):
                break
        if not length:
            break
        region.ends_line = piece.endswith(b"\n")
        node = leaf.digest()
        tree.add_hash(node)
        region.locator.add_hash(node)
        if keep_leaves:
            region.leaves.append(node)
        if b'"error"' in head and length == len(head):
            region.errors.extend(_error_in(head, region.lines))
        region.lines += 1
    region.sha256, region.items_root = own.hexdigest(), tree.root()
    return region


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

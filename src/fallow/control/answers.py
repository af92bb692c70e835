"""Looking at an answer's bytes: are they what the receipt says, and one JSON line per item?"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from fallow.core.merkle import Tree
from fallow.core.receipt import Receipt

_DECODE = msgspec.json.Decoder().decode
_ERROR_HEADS = (b'{"error":', b'{"error" :', b'{ "error"')


@dataclass(frozen=True, slots=True)
class Examination:
    """fault: "" when the bytes are what the receipt says."""

    fault: str
    lines: int
    errors: int


def examine(pieces: Iterable[bytes], receipt: Receipt) -> Examination:
    """Hash, size, line count, JSON, error count and Merkle root of an artifact against its receipt, in one pass."""
    digest, size, tree = hashlib.sha256(), 0, Tree()
    errors = 0
    whole = True
    bad_line = -1
    for line in lines_of(pieces):
        digest.update(line)
        size += len(line)
        whole = line.endswith(b"\n")
        body = line[:-1] if whole else line
        if bad_line < 0 and not is_json(body):
            bad_line = tree.size
        errors += is_error(body)
        tree.add(body)
    fault = _fault(receipt, digest.hexdigest(), size, tree, errors, bad_line)
    if not fault and not whole:
        fault = "the artifact's last line has no newline"
    return Examination(fault, tree.size, errors)


def _fault(receipt: Receipt, sha256: str, size: int, tree: Tree, errors: int, bad_line: int) -> str:
    if size != receipt.artifact_size_bytes:
        return f"the artifact has {size} bytes, and its receipt says {receipt.artifact_size_bytes}"
    if sha256 != receipt.artifact_sha256:
        return "the artifact's SHA-256 is not the one in its receipt"
    if bad_line >= 0:
        return f"line {bad_line} of the artifact is not JSON"
    if tree.size != receipt.item_count:
        return f"the artifact has {tree.size} lines for {receipt.item_count} items"
    if tree.root() != receipt.items_root:
        return "the artifact's Merkle root is not the one in its receipt"
    if errors != receipt.item_errors:
        return f"the artifact has {errors} error lines, and its receipt says {receipt.item_errors}"
    return ""


def is_json(line: bytes) -> bool:
    """Whether the line is one JSON value."""
    try:
        _DECODE(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return True


def is_error(line: bytes) -> bool:
    """Whether the line is an answer of the form {"error": {...}}."""
    if not line.lstrip()[:12].startswith(_ERROR_HEADS):
        return False
    try:
        value = _DECODE(line)
    except (msgspec.DecodeError, RecursionError):
        return False
    return isinstance(value, dict) and isinstance(value.get("error"), dict)


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a stream, newline included; the last one may lack it."""
    held: list[bytes] = []
    for piece in pieces:
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            line = piece[start : end + 1]
            if held:
                held.append(line)
                line = b"".join(held)
                held.clear()
            yield line
            start = end + 1
        if start < len(piece):
            held.append(piece[start:])
    if held:
        yield b"".join(held)

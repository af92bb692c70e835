"""The artifact while it grows: one line per item, hashed as it is written."""

import hashlib
import json
import math
import re
from pathlib import Path
from typing import BinaryIO

from fallow.core.merkle import Tree

_HUGE = re.compile(rb"\d[eE]\+?\d{3}|\d{300}")
_ERROR_HEADS = (b'{"error":', b'{"error" :', b'{ "error"')


class Answers:
    """Lines in item order. The first n lines are the answers of the first n items, at any moment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.errors = 0
        self.size_bytes = 0
        self._file: BinaryIO = path.open("wb")
        self._sha256 = hashlib.sha256()
        self._tree = Tree()

    def add(self, line: bytes, is_error: bool) -> None:
        """Append one answer, without its newline."""
        whole = line + b"\n"
        self._file.write(whole)
        self._sha256.update(whole)
        self._tree.add(line)
        self.size_bytes += len(whole)
        self.count += 1
        self.errors += is_error

    def close(self) -> None:
        """Everything is in the file. May be called twice. Raises OSError when the disk is full."""
        self._file.close()

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def items_root(self) -> str:
        return self._tree.root()


def parse_json(line: bytes) -> object:
    """The value of this line. Raises ValueError for what is not JSON everywhere.

    Python takes more than others do: NaN, Infinity, numbers beyond a double, halves of surrogate pairs. The server's
    reader refuses those, and an answer must not pass here and fail there.
    """
    decoder = _CAREFUL if _HUGE.search(line) else _DECODER
    try:
        value: object = decoder.decode(line.decode("utf-8"))
        if b"\\ud" in line or b"\\uD" in line:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def is_error_answer(line: bytes) -> bool:
    """Whether an answer says that its item could not be done: an object whose first member is an `error` object."""
    if not line.lstrip()[:12].startswith(_ERROR_HEADS):
        return False
    value = parse_json(line)
    return isinstance(value, dict) and isinstance(value.get("error"), dict)


def error_line(code: str, message: str) -> bytes:
    """The answer in place of an item that cannot be done."""
    return json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False, separators=(",", ":")).encode()


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is beyond a double")
    return number


_DECODER = json.JSONDecoder(parse_constant=_not_json)
_CAREFUL = json.JSONDecoder(parse_constant=_not_json, parse_float=_finite)

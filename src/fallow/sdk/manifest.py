"""manifest.json, read as a stream: a head, one chunk a line, a tail whose last line seals the bytes before it.

    {"manifest_version":1,"job":{...},...,"workers":{...},
    "chunks":[
    {...},
    {...}
    ],
    "job_root":"...",
    "locator":[...],
    "seal":"SHA-256 of all bytes before this line"}

The locator (core.locator, over the lines before its own) may be missing; it only helps to name a line that was changed.
Whoever wrote the file is not trusted: anything unexpected is raised as Damaged, with the line's number, from 1.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from fallow.core.locator import Locator

HEAD_BYTES_MAX = 64 * 1024 * 1024  # 500,000 workers
LINE_BYTES_MAX = 4 * 1024 * 1024
_SEAL = re.compile(rb'"seal":"([0-9a-f]{64})"\}\n')
_HEX = re.compile(r"[0-9a-f]{64}\Z")


class Damaged(Exception):
    """This line of the manifest cannot be what was written. why: a sentence's end, such as "it is not JSON"."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line} of manifest.json is damaged: {why}")
        self.line = line
        self.why = why

    @property
    def sentence(self) -> str:
        return f"Line {self.line} of manifest.json is damaged: {self.why}."


@dataclass(frozen=True, slots=True)
class FileFact:
    """What one of the job's files was when it was written. marks: of core.locator; empty where there are none."""

    sha256: str
    size_bytes: int
    lines: int
    marks: list[int]


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the chunks. public_keys: raw Ed25519 keys by worker id. image: its digest, "" for none."""

    job_id: str
    contract: str
    image: str
    quorum: int
    files: dict[str, FileFact]
    public_keys: dict[str, bytes]
    counts: dict[str, int]
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One chunk: items item_start..item_end, both included, are `lines` lines of output.jsonl from line_start, which
    counts from 0. number: of its own line in the manifest."""

    number: int
    chunk_id: int
    receipt_chunk_id: int
    item_start: int
    item_end: int
    line_start: int
    lines: int
    sha256: str
    size_bytes: int
    items_root: str
    attempts_agreeing: int
    envelope: bytes | None
    fault: tuple[str, str] | None
    marks: list[int]


@dataclass(frozen=True, slots=True)
class Tail:
    """seal: what the file says of itself; actual_seal: what it is. changed_line: counted from 0, where it is known."""

    job_root: str
    seal: str
    actual_seal: str
    changed_line: int | None


class Manifest:
    """Call head(), then entries() to their end, then tail()."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._locator = Locator()
        self._rest = b""  # of the tail, so far
        self._number = 0

    def head(self) -> Head:
        """Raises Damaged."""
        held = bytearray()
        while True:
            line = self._sealed_line()
            held += line
            if line.rstrip().endswith(b'"chunks":['):
                break
            if not line or len(held) > HEAD_BYTES_MAX or b'"chunk_id"' in line:
                raise Damaged(self._number, 'the list "chunks" does not begin as it should')
        head: Head = _shaped(1, held + b"]}", _head)
        return head

    def entries(self) -> Iterator[Entry | Damaged]:
        """Every chunk in item order; a line that is no entry is given as Damaged, and the next one follows."""
        while True:
            line = self._sealed_line()
            if not line:
                raise Damaged(self._number, "the file ends in the middle of the chunks")
            if line.startswith(b"],"):
                self._rest = line[2:]
                return
            number = self._number
            try:
                yield _shaped(number, line.rstrip(b"\n").removesuffix(b","), lambda body: _entry(number, body))  # noqa: B023
            except Damaged as damaged:
                yield damaged

    def tail(self) -> Tail:
        """Raises Damaged."""
        while True:
            line = self._line()
            seal = _SEAL.fullmatch(line)
            if seal:
                break
            if not line or len(self._rest) > LINE_BYTES_MAX or b'"seal"' in line:
                raise Damaged(self._number, "the seal is missing or misspelt")
            self._hash.update(line)
            if not line.startswith(b'"locator":'):
                self._locator.add(line.removesuffix(b"\n"))
            self._rest += line
        if self._file.read(1):
            raise Damaged(self._number + 1, "something follows the seal")
        raw = b"{" + self._rest.rstrip().removesuffix(b",") + b"}"
        root, marks = _shaped(self._number - 1, raw, lambda body: (_digest(body["job_root"]), _marks(body)))
        changed = self._locator.changed_line(marks) if marks else None
        return Tail(root, seal[1].decode(), self._hash.hexdigest(), changed)

    def _sealed_line(self) -> bytes:
        line = self._line()
        self._add(line)
        return line

    def _add(self, line: bytes) -> None:
        self._hash.update(line)
        self._locator.add(line.removesuffix(b"\n"))

    def _line(self) -> bytes:
        line = self._file.readline(LINE_BYTES_MAX if self._number else HEAD_BYTES_MAX)
        self._number += 1
        return line


def _shaped(number: int, raw: bytes | bytearray, make: Any) -> Any:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise Damaged(number, "it is not JSON") from None
    try:
        return make(body)
    except KeyError as missing:
        raise Damaged(number, f"{missing.args[0]!a} is missing") from None
    except (TypeError, ValueError, AttributeError, IndexError) as wrong:
        raise Damaged(number, f"it has not the form of a manifest ({ascii(str(wrong))[:120]})") from None


def _head(body: dict[str, Any]) -> Head:
    if body["manifest_version"] != 1:
        raise ValueError("only manifest_version 1 is known")
    job, image = body["job"], body.get("image") or {}
    return Head(
        job_id=_text(job["job_id"]),
        contract=_text(job["contract"]),
        image=_text(image.get("digest") or ""),
        quorum=_least_agreeing(job.get("verify") or {}),
        files={_text(name): _file_fact(fact) for name, fact in body["files"].items()},
        public_keys={_text(name): _public_key(worker) for name, worker in body["workers"].items()},
        counts={name: count for name, count in body["counts"].items() if isinstance(count, int)},
        body=body,
    )


def _least_agreeing(verify: dict[str, Any]) -> int:
    """Answers that must agree on each chunk. With adaptive replication a trusted worker's is enough."""
    return 1 if verify.get("adaptive") is True else _whole(verify.get("quorum", 1))


def _file_fact(fact: dict[str, Any]) -> FileFact:
    return FileFact(_digest(fact["sha256"]), _whole(fact["size_bytes"]), _whole(fact["lines"]), _marks(fact))


def _public_key(worker: dict[str, Any]) -> bytes:
    import base64

    return base64.b64decode(_text(worker["public_key"]), validate=True)


def _entry(number: int, body: dict[str, Any]) -> Entry:
    receipt, fault = body.get("receipt"), body.get("fault")
    chunk_id = _whole(body["chunk_id"])
    named = body.get("receipt_chunk_id")
    return Entry(
        number=number,
        chunk_id=chunk_id,
        receipt_chunk_id=chunk_id if named is None else _whole(named),
        item_start=_whole(body["item_start"]),
        item_end=_whole(body["item_end"]),
        line_start=_whole(body["line_start"]),
        lines=_whole(body["lines"]),
        sha256=_digest(body["sha256"]),
        size_bytes=_whole(body["size_bytes"]),
        items_root=_digest(body["items_root"]),
        attempts_agreeing=_whole(body.get("attempts_agreeing", 0)),
        envelope=json.dumps(receipt).encode() if receipt is not None else None,
        fault=(_text(fault["code"]), _text(fault["message"])) if fault else None,
        marks=_marks(body),
    )


def _marks(body: dict[str, Any]) -> list[int]:
    marks = body.get("locator") or []
    if len(marks) not in (0, 2):
        raise ValueError("a locator has two numbers")
    return [_whole(mark) for mark in marks]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is expected")
    return value


def _digest(value: object) -> str:
    if not isinstance(value, str) or not _HEX.match(value):
        raise ValueError("a SHA-256 is expected")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError("a whole number is expected")
    return value

"""errors.jsonl beside the output: one line for each error line of the output, in item order."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, BinaryIO

from fallow.core.locator import Locator
from fallow.sdk.manifest import Entry, FileFact
from fallow.sdk.regions import ErrorLine
from fallow.sdk.verdict import ERRORS, Verdict, said

LINE_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Record:
    """One line. body: None when it is no JSON object that names an item."""

    number: int
    body: dict[str, Any] | None


class ErrorsFile:
    """Call expect() for each chunk in order, then finish()."""

    def __init__(self, file: BinaryIO, fact: FileFact, verdict: Verdict) -> None:
        self._file = file
        self._fact = fact
        self._verdict = verdict
        self._hash = hashlib.sha256()
        self._locator = Locator()
        self._held: _Record | None = None
        self._number = 0
        self._ended = False

    def expect(self, entry: Entry, errors: list[ErrorLine]) -> None:
        """These error lines of a chunk's output must come next."""
        for error in errors:
            self._match(entry, entry.item_start + error.offset, error)

    def _match(self, entry: Entry, item: int, error: ErrorLine) -> None:
        record = self._next()
        while record and record.body and record.body["item"] < item:
            self._blame(record, f"names item {record.body['item']}, whose answer is not an error")
            record = self._next()
        if record is None:
            if not self._ended:
                self._verdict.add(ERRORS, None, f"{ERRORS} ends before item {item}, whose answer is an error.")
            self._ended = True
        elif record.body is None:
            self._blame(record, "is not a JSON object that names an item")
        elif record.body["item"] > item and record.body.get("line") == record.body["item"] + 1:
            self._verdict.add(ERRORS, None, f"{ERRORS} has no line for item {item}, whose answer is an error.")
            self._held = record
        else:
            self._compare(entry, item, error, record, record.body)

    def _compare(self, entry: Entry, item: int, error: ErrorLine, record: _Record, body: dict[str, Any]) -> None:
        expected = {"item": item, "line": item + 1, "chunk": entry.chunk_id}
        if error.code is not None:
            expected["code"] = error.code  # type: ignore[assignment]
        if error.message is not None:
            expected["message"] = error.message  # type: ignore[assignment]
        for name, value in expected.items():
            if name not in body or body[name] != value:
                theirs = said(str(body.get(name)))
                self._blame(record, f"says {name} {theirs} where the output says {said(str(value))}")

    def _blame(self, record: _Record, why: str) -> None:
        self._verdict.add(ERRORS, record.number, f"Line {record.number} of {ERRORS} {why}.")

    def finish(self) -> None:
        """Nothing may follow; then the file as a whole."""
        while record := self._next():
            self._blame(record, "belongs to no error line of the output")
        if self._hash.hexdigest() == self._fact.sha256 and self._number == self._fact.lines:
            return
        line = self._locator.changed_line(self._fact.marks) if self._fact.marks else None
        if line is not None:
            if not any(each.file == ERRORS and each.line == line + 1 for each in self._verdict.findings):
                self._verdict.add(ERRORS, line + 1, f"Line {line + 1} of {ERRORS} is not the one that was written.")
        elif not self._verdict.blames(ERRORS):
            self._verdict.add(ERRORS, None, f"{ERRORS} is not the file that was written.")

    def _next(self) -> _Record | None:
        if self._held:
            record, self._held = self._held, None
            return record
        line = self._file.readline(LINE_BYTES_MAX)
        if not line:
            return None
        self._number += 1
        self._hash.update(line)
        self._locator.add(line.removesuffix(b"\n"))
        try:
            body = json.loads(line)
        except (ValueError, RecursionError):
            body = None
        named = isinstance(body, dict) and isinstance(body.get("item"), int)
        return _Record(self._number, body if named else None)

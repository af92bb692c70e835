"""Cuts a chunk's bytes into items, and says which can be sent. Memory is bounded by one item."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fallow.core.words import InputFormat
from fallow.worker.answers import error_line, parse_json
from fallow.worker.assignment import InputExtent
from fallow.worker.faults import bytes_said

BLANK_MAX = 80
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Item:
    """line: what the image gets, one JSON line without newline. refused: its answer, when it is not sent at all."""

    line: bytes = b""
    refused: bytes = b""


def items_of(path: Path, extent: InputExtent, item_bytes: int) -> Iterator[Item]:
    """Every item of the extent in order, those to skip included. Formats jsonl, text and csv."""
    lines = _lines(path, item_bytes, extent.offset == 0)
    if extent.format is InputFormat.CSV:
        return (_csv_item(record, extent.columns, item_bytes) for record in _records(lines, item_bytes))
    make = _text_item if extent.format is InputFormat.TEXT else _json_item
    return (make(line, item_bytes) for line in lines if line is None or not _blank(line))


def object_item(name: str, data: bytes) -> Item:
    """An object as a line: its text where it is UTF-8, else base64."""
    import base64

    try:
        return Item(_dumped({"name": name, "text": data.decode("utf-8")}))
    except UnicodeDecodeError:
        return Item(_dumped({"name": name, "base64": base64.b64encode(data).decode()}))


def too_large(item_bytes: int) -> Item:
    return Item(refused=error_line("item_too_large", f"The item is larger than {bytes_said(item_bytes)}."))


def _lines(path: Path, item_bytes: int, at_start: bool) -> Iterator[bytes | None]:
    """Lines without their ends; None for one that is too long, which is read but never held."""
    with path.open("rb") as file:
        if at_start and file.read(3) != BOM:
            file.seek(0)
        while line := file.readline(item_bytes + 2):
            if len(line) > item_bytes and not line.endswith(b"\n"):
                rest = line
                while rest and not rest.endswith(b"\n"):
                    rest = file.readline(1 << 20)
                if rest or len(line.rstrip(b"\r\n")) > item_bytes:
                    yield None
                    continue
            yield line[:-2] if line.endswith(b"\r\n") else line.removesuffix(b"\n")


def _blank(line: bytes) -> bool:
    """Whether the planner took this line for no item: only white space, and short, so that it is seen at a glance."""
    return len(line) < BLANK_MAX and not line.strip()


def _records(lines: Iterator[bytes | None], item_bytes: int) -> Iterator[bytes | None]:
    """CSV records: a line whose quotes are open goes on in the next one."""
    held: list[bytes] = []
    size = quotes = 0
    for line in lines:
        if line is None:
            held, size, quotes = [], 0, 0
            yield None
            continue
        if not held and _blank(line):
            continue
        held.append(line)
        size += len(line) + 1
        quotes += line.count(b'"')
        if quotes % 2 == 0 or size > item_bytes:
            yield b"\n".join(held) if size <= item_bytes + 1 else None
            held, size, quotes = [], 0, 0
    if held:
        yield b"\n".join(held)


def _json_item(line: bytes | None, item_bytes: int) -> Item:
    if line is None or len(line) > item_bytes:
        return too_large(item_bytes)
    try:
        parse_json(line)
    except UnicodeDecodeError:
        return _not_utf8()
    except ValueError:
        return Item(refused=error_line("not_json", "The line is not JSON."))
    return Item(line.strip())


def _text_item(line: bytes | None, item_bytes: int) -> Item:
    if line is None or len(line) > item_bytes:
        return too_large(item_bytes)
    try:
        return Item(_dumped({"text": line.decode("utf-8")}))
    except UnicodeDecodeError:
        return _not_utf8()


def _csv_item(record: bytes | None, columns: tuple[str, ...], item_bytes: int) -> Item:
    if record is None:
        return too_large(item_bytes)
    csv.field_size_limit(max(csv.field_size_limit(), item_bytes + 1))
    try:
        values = next(csv.reader([record.decode("utf-8")]), [])
    except UnicodeDecodeError:
        return _not_utf8()
    except csv.Error:
        return Item(refused=error_line("not_csv", "The record is not CSV."))
    if len(values) != len(columns):
        return Item(refused=error_line("not_csv", f"The record has {len(values)} values for {len(columns)} columns."))
    return Item(_dumped(dict(zip(columns, values, strict=True))))


def _not_utf8() -> Item:
    return Item(refused=error_line("not_utf8", "The line is not UTF-8."))


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")

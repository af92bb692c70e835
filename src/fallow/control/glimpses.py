"""A glimpse of an input before its job exists: the first items as a worker will see them, and about how many there are.

Reads a bounded part of the input whatever its size. What cannot be sent is marked, not refused: such items become error
lines when the job runs.
"""

import csv
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from fallow.artifacts.locations import Source, SourceFile
from fallow.control.answers import is_json
from fallow.control.lines import Cutter, Sizes, count_items
from fallow.control.staging import object_lines, parquet_lines
from fallow.core.job import ITEM_BYTES_MAX, MIB, ItemRange
from fallow.core.refusals import Code, Refusal
from fallow.core.words import InputFormat

WHOLE_BYTES = 64 * MIB  # an input up to this size is counted; of a larger one samples are
HEAD_BYTES = MIB
_SAMPLES = 8
_SAMPLE_BYTES = 128 * 1024
_LISTED_MAX = 10_000
_LOOKED_AT = 2000  # items of the head that are checked for being sendable
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Seen:
    """One item. line: what the image gets, at most so many characters as were asked for. fault: why it is not sent."""

    item: int
    line: str
    size_bytes: int
    fault: str = ""

    @property
    def cut(self) -> bool:
        """Whether `line` is only its beginning."""
        return self.size_bytes > len(self.line.encode())


@dataclass(frozen=True, slots=True)
class Count:
    """How many items there are; not exact where only samples of the input were read."""

    items: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Glimpse:
    """first: the first items. looked_at: how many items were checked from the beginning, `bad` of them faulty."""

    first: tuple[Seen, ...]
    looked_at: int
    bad: int


def glimpse(source: Source, kind: InputFormat, start: int, columns: tuple[str, ...], show: int, width: int) -> Glimpse:
    """The first `show` items from item `start` on, `width` characters of each at most. start: within the input's first
    HEAD_BYTES, else nothing is shown. Raises Refusals of the source."""
    if kind is InputFormat.PARQUET:
        return _looked(_plain(next(parquet_lines(source), b"").splitlines()), start, show, width)
    if kind is InputFormat.OBJECTS:
        return _looked(_plain(islice(object_lines(source), _LOOKED_AT)), start, show, width)
    size = source.head().size_bytes
    head = source.read(0, min(size, HEAD_BYTES))
    records = _records(head, kind, whole=len(head) == size)
    if kind is InputFormat.CSV:
        next(records, None)  # the header
    return _looked((_item(record, kind, columns) for record in records), start, show, width)


def _looked(items: Iterator[tuple[bytes, str]], start: int, show: int, width: int) -> Glimpse:
    first: list[Seen] = []
    looked = bad = 0
    for number, (line, fault) in enumerate(islice(items, start + _LOOKED_AT)):
        if number < start:
            continue
        looked += 1
        bad += bool(fault)
        if len(first) < show:
            text = line[: 4 * width].decode("utf-8", "replace")[:width]
            first.append(Seen(number, text, len(line), fault))
    return Glimpse(tuple(first), looked, bad)


def _plain(lines: Iterable[bytes]) -> Iterator[tuple[bytes, str]]:
    return ((line.rstrip(b"\n"), "") for line in lines)


def _records(head: bytes, kind: InputFormat, *, whole: bool) -> Iterator[bytes]:
    """The records of an input's beginning, by the planner's own cutter; the last one only when it is whole."""
    cutter = Cutter(0, kind, Sizes(items=1, size_bytes=None))
    cuts = cutter.feed(head)
    for cut in cuts:
        yield head[cut.start : cut.start + cut.length]
    if whole:
        for cut in cutter.finish():
            yield head[cut.start : cut.start + cut.length]


def _item(record: bytes, kind: InputFormat, columns: tuple[str, ...]) -> tuple[bytes, str]:
    """What the worker makes of a record (worker/items.py does it for real), and what is wrong with it."""
    line = record.removeprefix(_BOM).strip(b"\r\n")
    if len(line) > ITEM_BYTES_MAX:
        return line, f"longer than {ITEM_BYTES_MAX // MIB} MiB"
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return line, "not UTF-8"
    if kind is InputFormat.TEXT:
        return _dumped({"text": text}), ""
    if kind is InputFormat.CSV:
        return _row(line, text, columns)
    return line.strip(), "" if is_json(line) else "not JSON"


def _row(line: bytes, text: str, columns: tuple[str, ...]) -> tuple[bytes, str]:
    try:
        values = next(csv.reader([text.lstrip("\n")]), [])
    except csv.Error:
        return line, "not CSV"
    if len(values) != len(columns):
        return line, f"{len(values)} values for {len(columns)} columns"
    return _dumped(dict(zip(columns, values, strict=True))), ""


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def counted(source: Source, kind: InputFormat, wanted: ItemRange | None) -> Count:
    """How many items the job would have. wanted: the job's own range, checked at the door where the input is small."""
    if kind is InputFormat.PARQUET:
        found = Count(_parquet_rows(source), True)
    elif kind is InputFormat.OBJECTS:
        listed = sum(1 for _ in islice(source.list(), _LISTED_MAX + 1))
        found = Count(min(listed, _LISTED_MAX), listed <= _LISTED_MAX)
    else:
        size = source.head().size_bytes
        found = (
            Count(count_items(source.stream(), kind), True)
            if size <= WHOLE_BYTES
            else Count(_sampled(source, size, kind), False)
        )
    return _within(found, wanted)


def _within(found: Count, wanted: ItemRange | None) -> Count:
    """Raises Refusal RANGE_PAST_END, as the planner will."""
    if wanted is None:
        return found
    if found.exact and wanted.end >= found.items:
        raise Refusal(
            Code.RANGE_PAST_END,
            f"The range ends at item {wanted.end}, and the input's last item is {found.items - 1}.",
            "Items count from 0; the end is included.",
        )
    return Count(wanted.end - wanted.start + 1, found.exact)


def _parquet_rows(source: Source) -> int:
    try:
        with pq.ParquetFile(pa.PythonFile(SourceFile(source), mode="r")) as file:
            return int(file.metadata.num_rows)
    except pa.ArrowException as wrong:
        raise Refusal(
            Code.INPUT_FORMAT, f"{source.uri} cannot be read as Parquet: {str(wrong)[:200]}.", "Check the file."
        ) from wrong


def _sampled(source: Source, size_bytes: int, kind: InputFormat) -> int:
    """From the lines per byte at several places, evenly spread."""
    newlines = read = 0
    for number in range(_SAMPLES):
        at = number * (size_bytes - _SAMPLE_BYTES) // (_SAMPLES - 1)
        sample = source.read(at, _SAMPLE_BYTES)
        newlines += sample.count(b"\n")
        read += len(sample)
    estimate = math.ceil(size_bytes * max(newlines, 1) / max(read, 1))
    return max(estimate - (kind is InputFormat.CSV), 1)

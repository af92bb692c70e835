"""Turning inputs that are not lines into lines: Parquet rows, a prefix's objects, a plug-in's items, http bodies."""

import csv
import io
import math
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from fallow.artifacts.locations import Source, SourceFile
from fallow.control.bundles import bundle_lines
from fallow.control.places import Places
from fallow.control.plugins import Plugs
from fallow.core.job import JobSpec
from fallow.core.refusals import Code, Refusal
from fallow.core.words import InputFormat

_ROWS = 1024
_HEADER_BYTES_MAX = 1024 * 1024


def staged_lines(
    spec: JobSpec, places: Places, plugs: Plugs, batch: Callable[[Source], Iterator[bytes]]
) -> Iterator[bytes] | None:
    """The input as lines, to be kept in the object store; None when it can be read where it lies. batch: how a batch
    file is read."""
    uri = spec.input.uri
    source = places.open_source(uri)
    if spec.input.format is InputFormat.BATCH:
        return batch(source)
    if spec.input.format is InputFormat.BUNDLES:
        return bundle_lines(source, places, spec.job_id)
    if spec.plugins.planner:
        return plugs.items(spec.plugins.planner, uri, source.stream)
    if spec.input.format is InputFormat.PARQUET:
        return parquet_lines(source)
    if spec.input.format is InputFormat.OBJECTS:
        return object_lines(source)
    if uri.startswith(("http://", "https://")):
        return _fetched(spec, source)
    return None


def parquet_lines(source: Source) -> Iterator[bytes]:
    """One JSON line per row, batch by batch. Raises Refusal INPUT_FORMAT."""
    try:
        table = pq.ParquetFile(pa.PythonFile(SourceFile(source), mode="r"), buffer_size=1 << 20)
        for batch in table.iter_batches(batch_size=_ROWS):
            yield b"".join(msgspec.json.encode(_jsonable(row)) + b"\n" for row in batch.to_pylist())
    except pa.ArrowException as wrong:
        raise Refusal(
            Code.INPUT_FORMAT, f"{source.uri} cannot be read as Parquet: {str(wrong)[:200]}.", "Check the file."
        ) from wrong


def object_lines(source: Source) -> Iterator[bytes]:
    """One line per object below the source: its name, URI, size and etag. A worker gets signed URLs made of these."""
    for entry in source.list():
        yield (
            msgspec.json.encode(
                {"name": entry.name, "uri": entry.uri, "size_bytes": entry.size_bytes, "etag": entry.etag}
            )
            + b"\n"
        )


def columns_of(source: Source) -> tuple[str, ...]:
    """The names in a CSV file's first row. Raises Refusal INPUT_FORMAT; () for an empty file."""
    head = source.read(0, _HEADER_BYTES_MAX)
    if not head:
        return ()
    try:
        text = io.StringIO(head.decode("utf-8-sig", errors="strict" if len(head) < _HEADER_BYTES_MAX else "ignore"))
        names = tuple(next(csv.reader(text), []))
    except (UnicodeDecodeError, csv.Error) as wrong:
        raise Refusal(
            Code.INPUT_FORMAT, f"The header of {source.uri} cannot be read: {wrong}.", "CSV must be UTF-8."
        ) from None
    if len(set(names)) != len(names):
        raise Refusal(Code.INPUT_FORMAT, f"Two columns of {source.uri} have one name.", "Rename one of them.")
    return names


def _fetched(spec: JobSpec, source: Source) -> Iterator[bytes]:
    """An http body, kept once: workers never fetch a stranger's URL, and it cannot change under the job."""
    if source.head().etag != spec.input.etag:
        raise Refusal(Code.INPUT_CHANGED, f"The input {spec.input.uri} changed.", "Submit the job again.")
    return source.stream()


def _jsonable(value: Any) -> Any:
    """Arrow's Python values as JSON's: bytes as base64 (by msgspec), moments as RFC 3339, durations as seconds."""
    if isinstance(value, dict):
        return {str(key): _jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value

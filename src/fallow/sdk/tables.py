"""Results as tables: Arrow's columns, filled batch by batch, so that no more Python objects live than one batch has.

An answer that is an object gives a column for each member; any other is in the column `output`. An item that has no
answer has nulls and says why in the column `error`. A column whose values have no type in common is JSON text.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from fallow.sdk.failures import error_of
from fallow.sdk.needs import needed

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 10_000
_OWN = ("item", "error")


def arrow_table(results: Iterable[tuple[int, Any]], batch: int = _BATCH) -> "pa.Table":
    """columns: item (int64), those of the answers, error (text). Raises Refusal SETTING_INVALID without pyarrow."""
    columns = _Columns(needed("pyarrow", "tables"))
    pairs = iter(results)
    while rows := list(islice(pairs, batch)):
        columns.add(rows)
    table: pa.Table = columns.table()
    return table


def pandas_frame(table: "pa.Table") -> Any:
    """The table as a pandas.DataFrame, with the item as its index."""
    needed("pandas", "")
    return table.to_pandas().set_index("item")


def polars_frame(table: "pa.Table") -> Any:
    """The table as a polars.DataFrame."""
    return needed("polars", "").from_arrow(table)


class _Columns:
    """Chunks of columns by name; a column that comes late has nulls before."""

    def __init__(self, pa: Any) -> None:
        self._pa = pa
        self._rows = 0
        self._chunks: dict[str, list[Any]] = {"item": []}
        self._errors: list[Any] = []

    def add(self, rows: list[tuple[int, Any]]) -> None:
        values: dict[str, list[Any]] = {name: [None] * len(rows) for name in self._chunks}
        errors: list[str | None] = [None] * len(rows)
        for at, (item, output) in enumerate(rows):
            values["item"][at] = item
            if error := error_of(item, output):
                errors[at] = f"{error.code}: {error.message}"
                continue
            for name, value in _members(output):
                values.setdefault(name, [None] * len(rows))[at] = value
        for name, column in values.items():
            if name not in self._chunks:
                self._chunks[name] = [self._pa.nulls(self._rows)]
            self._chunks[name].append(self._array(column))
        self._errors.append(self._pa.array(errors, self._pa.string()))
        self._rows += len(rows)

    def table(self) -> Any:
        pa = self._pa
        columns = {name: self._united(chunks) for name, chunks in self._chunks.items()}
        columns["item"] = columns["item"].cast(pa.int64())
        return pa.table({**columns, "error": pa.chunked_array(self._errors, pa.string())})

    def _array(self, column: list[Any]) -> Any:
        try:
            return self._pa.array(column)
        except (self._pa.ArrowException, OverflowError, TypeError):
            return self._text(column)

    def _text(self, column: Iterable[Any]) -> Any:
        return self._pa.array([None if each is None else _json(each) for each in column], self._pa.string())

    def _united(self, chunks: list[Any]) -> Any:
        """One column of one type: the widest of its chunks', else JSON text."""
        pa = self._pa
        fields = [pa.schema([("column", chunk.type)]) for chunk in chunks]
        try:
            kind = pa.unify_schemas(fields, promote_options="permissive").field("column").type if fields else pa.null()
            return pa.chunked_array([chunk.cast(kind) for chunk in chunks], kind)
        except pa.ArrowException:
            return pa.chunked_array([self._text(chunk.to_pylist()) for chunk in chunks], pa.string())


def _members(output: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(output, dict):
        yield "output", output
        return
    for name, value in output.items():
        yield (f"output_{name}" if name in _OWN else name), value


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

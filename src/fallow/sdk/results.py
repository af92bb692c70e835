"""Reads results while the job runs: pages of JSON lines behind a cursor."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fallow.protocols.rest.jobs import JobSummary
from fallow.sdk.showing import jobs_html, results_html
from fallow.sdk.tables import arrow_table, pandas_frame, polars_frame
from fallow.sdk.transport import Transport

if TYPE_CHECKING:
    import pyarrow as pa

_PAGE = 1000
_WAIT_SECONDS = 20.0  # how long the server holds its answer back while there is nothing new
_LOOK_SECONDS = 0.2
_SHOWN = 20
NO_END = 1 << 62


@dataclass(frozen=True, slots=True)
class Result:
    """One item's answer, as the image wrote it, or {"error": {...}}. item: counted from 0."""

    item: int
    output: Any


class Results(Iterator[Result]):
    """Answers, one by one. `lines` starts reading anew each time it is called."""

    def __init__(self, lines: Callable[[], Iterator[bytes]]) -> None:
        self._lines = lines
        self._reading: Iterator[bytes] | None = None

    def __next__(self) -> Result:
        if self._reading is None:
            self._reading = self._lines()
        return result_of(next(self._reading))

    def to_arrow(self) -> "pa.Table":
        """What is left as columns: item, the answers' members, error. Raises Refusal SETTING_INVALID."""
        return arrow_table((each.item, each.output) for each in self)

    def to_pandas(self) -> Any:
        """The same as a pandas.DataFrame."""
        return pandas_frame(self.to_arrow())

    def to_polars(self) -> Any:
        """The same as a polars.DataFrame."""
        return polars_frame(self.to_arrow())

    def _repr_html_(self) -> str:
        first = [result_of(line) for line in islice(self._lines(), _SHOWN)]
        return results_html((each.item, each.output) for each in first)


class JobPages(Iterator[JobSummary]):
    """Jobs, one by one. `pages` starts reading anew each time it is called."""

    def __init__(self, pages: Callable[[], Iterator[JobSummary]]) -> None:
        self._pages = pages
        self._reading: Iterator[JobSummary] | None = None

    def __next__(self) -> JobSummary:
        if self._reading is None:
            self._reading = self._pages()
        return next(self._reading)

    def _repr_html_(self) -> str:
        return jobs_html(islice(self._pages(), _SHOWN))


def result_of(line: bytes) -> Result:
    """A line {"item", "output"}."""
    body = json.loads(line)
    return Result(int(body["item"]), body["output"])


def result_lines(
    transport: Transport, job_id: str, after: int, follow: bool, most: int | None = None
) -> Iterator[bytes]:
    """JSON lines {"item", "output"} behind item `after`, in item order and without gaps; `most` of them at most.

    Ends where an item is not answered yet; with follow, when the job is over.
    """
    left = NO_END if most is None else most
    path = f"/api/jobs/{quote(job_id, safe='')}/results"
    while left > 0:
        wait = _WAIT_SECONDS if follow else None
        asked = time.monotonic()
        page = transport.send("GET", path, query={"after": after, "limit": min(left, _PAGE), "wait_seconds": wait})
        lines = page.content.splitlines()
        left -= len(lines)
        yield from lines
        after = int(page.headers.get("x-fallow-next", after))
        if page.headers.get("x-fallow-over") == "true":
            return
        if page.content:
            continue
        if not follow:
            return
        if time.monotonic() - asked < _LOOK_SECONDS:  # a server that does not wait must not be asked without a pause
            time.sleep(_LOOK_SECONDS)

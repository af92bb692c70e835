"""client.map: items that a program makes, through an image, and their results back as a stream.

The items are written to a temporary file as they come and sent from there, so that neither end holds more than one.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fallow.core.refusals import Code, Refusal
from fallow.core.words import ChunkState, JobState
from fallow.sdk.failures import JobEnded, error_of
from fallow.sdk.results import Result

if TYPE_CHECKING:
    from fallow.sdk.client import Client
    from fallow.sdk.job import Job

OnError = Literal["return", "raise"]


def mapped(
    client: "Client", items: Iterable[Any], ordered: bool, on_error: OnError, fields: dict[str, Any]
) -> Iterator[Any]:
    """See Client.map. The job is submitted when this returns."""
    if on_error not in ("return", "raise"):
        raise Refusal(Code.BAD_REQUEST, f"on_error is {on_error!r}.", "Say return or raise.")
    with tempfile.TemporaryDirectory(prefix="fallow-map-") as folder:
        path = Path(folder) / "items.jsonl"
        if not write_items(path, items):
            return iter(())
        uploaded = client.upload(path)
    # Errors are values here: no number of them makes the whole fail, unless the caller says so.
    job = client.submit(
        **{
            "name": "map",
            "retry": {"error_threshold": 1.0},
            **fields,
            "input_uri": uploaded.uri,
            "input_format": "jsonl",
        }
    )
    return _answers(job, ordered, on_error)


def write_items(path: Path, items: Iterable[Any]) -> int:
    """How many. Raises Refusal BAD_REQUEST for one that is not JSON."""
    count = 0
    with path.open("wb") as file:
        for item in items:
            file.write(item_line(item, count))
            count += 1
    return count


def item_line(item: Any, number: int) -> bytes:
    """One line. NaN and infinities are refused: JSON has no such numbers, and half of its readers break on them."""
    try:
        return json.dumps(item, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as wrong:
        raise Refusal(
            Code.BAD_REQUEST, f"Item {number} is not JSON: {wrong}.", "Give text, numbers, lists and objects."
        ) from None


def _answers(job: "Job", ordered: bool, on_error: OnError) -> Iterator[Any]:
    """The values. A reader that goes away before the end wants no more of them: the job is cancelled."""
    whole = False
    try:
        for result in job.results(follow=True) if ordered else as_completed(job):
            value = error_of(result.item, result.output) or result.output
            if on_error == "raise" and isinstance(value, Exception):
                raise value
            yield value if ordered else (result.item, value)
        whole = True
        ended = job.client.job(job.job_id, chunks=0)
        if ended.state != JobState.COMPLETED:
            raise JobEnded(job.job_id, ended.state, ended.reason)
    finally:
        if not whole:
            _cancel(job)


def as_completed(job: "Job") -> Iterator[Result]:
    """Results chunk by chunk, in the order in which chunks are done."""
    for line in job.events():
        if line.kind == "chunk" and line.to_state in (ChunkState.DONE, ChunkState.FAILED):
            yield from _of_chunk(job, int(line.chunk_id or 0))


def _of_chunk(job: "Job", number: int) -> Iterator[Result]:
    chunk = next(job.client.chunks(job.job_id, after=number - 1, limit=1))
    return job.client.results(job.job_id, chunk.item_start - 1, most=chunk.item_end - chunk.item_start + 1)


def _cancel(job: "Job") -> None:
    try:
        job.cancel()
    except Refusal as refusal:
        if refusal.code not in (Code.STATE_CONFLICT, Code.NOT_FOUND, Code.SERVER_UNREACHABLE):
            raise

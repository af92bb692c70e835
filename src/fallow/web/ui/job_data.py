"""What /job draws and downloads: the map, the series, logs, receipts, outputs."""

import struct
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from fallow.control.charts import ChunkMap
from fallow.control.results import Content
from fallow.core.refusals import Code, Refusal
from fallow.web.deps import TheDoor
from fallow.web.logs import glimpsed
from fallow.web.streams import in_pieces
from fallow.web.ui.job_page import JobId
from fallow.web.ui.visitor import Looking, Visiting

router = APIRouter()
_NUMBER_MAX: Final = 2**53
_SMALL_MAX: Final = 0xFFFF
_PRIVATE: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_DOWNLOAD: Final = _PRIVATE | {"content-security-policy": "default-src 'none'; sandbox"}
AttemptNumber = Annotated[int, Query(ge=0, le=_NUMBER_MAX)]


@router.get("/ui/job/map")
def chunk_map(
    door: TheDoor, who: Looking, job_id: JobId, after: Annotated[int | None, Query(ge=0, le=_NUMBER_MAX)] = None
) -> Response:
    """The map as numbers, see packed(); after: only what changed since that mark."""
    data = packed(door.charts.chunk_map(who.caller, job_id, after))
    return Response(data, headers=_PRIVATE, media_type="application/octet-stream")


def packed(found: ChunkMap) -> bytes:
    """Little-endian: 8 words of 32 bits (version 1, chunks, chunks a cell, cells that follow, 1 if it is all of them,
    the mark's low and high half, 0), the cells' numbers in 32 bits each, their 8 counts in 16 bits each."""
    cells = found.cells
    low, high = found.mark & 0xFFFFFFFF, found.mark >> 32
    head = struct.pack("<8I", 1, found.chunks, found.per_cell, len(cells), int(found.whole), low, high, 0)
    numbers = struct.pack(f"<{len(cells)}I", *(cell.number for cell in cells))
    counts = [min(count, _SMALL_MAX) for cell in cells for count in cell.counts]
    return head + numbers + struct.pack(f"<{len(counts)}H", *counts)


@router.get("/ui/job/runs")
def runs(door: TheDoor, who: Looking, job_id: JobId) -> dict[str, Any]:
    """Per cell: [number, worker or null, another worker if there were several, seconds or null, attempts]."""
    per_cell, found = door.charts.runs(who.caller, job_id)
    lines = [
        [
            run.cell,
            run.first_worker,
            run.last_worker if run.last_worker != run.first_worker else None,
            round(run.micros / 1e6, 3) if run.micros is not None else None,
            run.tries,
        ]
        for run in found
    ]
    return {"per_cell": per_cell, "cells": lines}


@router.get("/ui/job/series")
def series(door: TheDoor, who: Looking, job_id: JobId) -> dict[str, Any]:
    """Items done in equal spans of time; moments in seconds since 1970."""
    found = door.charts.series(who.caller, job_id)
    ahead = found.forecast
    return {
        "start": found.start / 1e6,
        "span": found.span_seconds,
        "items": found.items,
        "done": found.done,
        "total": found.total,
        "growing": found.growing,
        "now": found.now / 1e6,
        "forecast": ahead
        and {
            "rate": ahead.items_per_second,
            "soonest": ahead.soonest_seconds,
            "likely": ahead.likely_seconds,
            "latest": ahead.latest_seconds,
        },
    }


@router.get("/ui/job/log")
def log(door: TheDoor, who: Visiting, job_id: JobId, attempt: AttemptNumber) -> Response:
    """What the attempt's container wrote to stderr, whole; while it runs, what is known of it."""
    so_far = door.live_logs.so_far(who.caller, job_id, attempt)
    if so_far is not None:
        return Response(so_far, headers=_DOWNLOAD, media_type="text/plain; charset=utf-8")
    return _download(door.results.log(who.caller, job_id, attempt), "text/plain; charset=utf-8")


@router.get("/ui/job/log/live")
def live_log(
    door: TheDoor,
    who: Visiting,
    job_id: JobId,
    attempt: AttemptNumber,
    after: Annotated[int, Query(ge=0, le=_NUMBER_MAX)] = 0,
) -> Response:
    """What is new of it, while it runs."""
    return glimpsed(door.live_logs.look(who.caller, job_id, attempt, after))


@router.get("/ui/job/envelope")
def envelope(door: TheDoor, who: Visiting, job_id: JobId, attempt: AttemptNumber) -> Response:
    """The attempt's signed receipt, as the worker sent it."""
    rows, _ = door.views.attempts(who.caller, job_id, None, attempt - 1, 1)
    found = rows[0] if rows and rows[0].attempt.attempt_id == attempt else None
    if found is None or not found.envelope:
        raise Refusal(Code.NOT_FOUND, f"There is no receipt of attempt {attempt}.", "It comes with a good answer.")
    headers = _DOWNLOAD | {"content-disposition": f'attachment; filename="receipt-{attempt}.json"'}
    return Response(found.envelope, headers=headers, media_type="application/json")


@router.get("/ui/job/output")
def output(
    door: TheDoor, who: Visiting, job_id: JobId, name: Annotated[str, Query(max_length=40)], request: Request
) -> Response:
    """output.jsonl, errors.jsonl or manifest.json, to keep."""
    content = door.results.output(who.caller, job_id, name)
    return _download(content, "application/octet-stream", f"{job_id}-{name}")


def _download(content: Content, media_type: str, name: str = "") -> Response:
    headers = _DOWNLOAD | {"content-length": str(content.size_bytes)}
    if name:  # a job's id and one of our own names: nothing in it needs quoting
        headers["content-disposition"] = f'attachment; filename="{name}"'
    return StreamingResponse(in_pieces(content.read(0, content.size_bytes)), 200, headers, media_type)

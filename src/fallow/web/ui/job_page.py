"""/job: one job with everything about it, each part also as a piece of its own that the page asks for again."""

import codecs
import json
from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from fallow.control.callers import Caller
from fallow.control.outputs import NAMES
from fallow.core.lifecycle import JOB, JOB_OVER, JobEvent
from fallow.core.refusals import Code, Refusal
from fallow.core.words import AttemptState, ChunkState
from fallow.protocols.rest.submissions import verify_text
from fallow.store.port import AttemptRow, ChunkRow, JobRow
from fallow.web.deps import Door, TheDoor, named_job
from fallow.web.messages import attempt_view, chunk_view, job_summary
from fallow.web.ui.jobs_page import ran
from fallow.web.ui.rendering import render
from fallow.web.ui.streams import changes, job_mark, mark_of, together
from fallow.web.ui.visitor import Looking, Visiting

router = APIRouter()
_CHUNKS: Final = 25
_STORY: Final = 300
_ATTEMPTS: Final = 40
_LINES: Final = 20
_LINE_CHARACTERS: Final = 600
_LOG_BYTES: Final = 6000
_NUMBER_MAX: Final = 2**53

JobId = Annotated[str, Depends(named_job)]
ChunkNumber = Annotated[int, Query(ge=0, le=_NUMBER_MAX)]
MaybeChunk = Annotated[int | None, Query(ge=0, le=_NUMBER_MAX)]
After = Annotated[int, Query(ge=-1, le=_NUMBER_MAX)]
State = Annotated[str, Query(max_length=20)]


@router.get("/job")
def job(
    door: TheDoor,
    who: Looking,
    job_id: JobId,
    request: Request,
    chunk: MaybeChunk = None,
    after: After = -1,
    state: State = "",
) -> Response:
    row = door.views.job(who.caller, job_id)
    values = _head(door, row) | _chunks(door, who.caller, row, after, state)
    if chunk is not None and who.signed_in:
        values |= _chunk(door, who.caller, row, chunk)
    return render(request, "job.html", **values, open_chunk=chunk if who.signed_in else None, facts=_facts(row))


@router.get("/ui/job/events")
def events(door: TheDoor, who: Looking, job_id: JobId, seen: Annotated[str, Query(max_length=64)] = "") -> Response:
    """When anything of the job moves."""
    return changes(door, lambda: {job_id: job_mark(door.views.job(who.caller, job_id))}, seen)


@router.get("/ui/job/head")
def head(door: TheDoor, who: Looking, job_id: JobId, request: Request) -> Response:
    return render(request, "_job_head.html", **_head(door, door.views.job(who.caller, job_id)))


@router.get("/ui/job/chunks")
def chunks(
    door: TheDoor, who: Looking, job_id: JobId, request: Request, after: After = -1, state: State = ""
) -> Response:
    row = door.views.job(who.caller, job_id)
    return render(request, "_job_chunks.html", **_chunks(door, who.caller, row, after, state))


@router.get("/ui/job/chunk")
def chunk(door: TheDoor, who: Visiting, job_id: JobId, chunk: ChunkNumber, request: Request) -> Response:
    row = door.views.job(who.caller, job_id)
    return render(request, "_job_chunk.html", **_chunk(door, who.caller, row, chunk))


@router.get("/ui/job/failures")
def failures(door: TheDoor, who: Visiting, job_id: JobId, request: Request) -> Response:
    row = door.views.job(who.caller, job_id)
    found, faults = door.charts.failures(who.caller, job_id)
    return render(request, "_job_failures.html", job=row, failures=found, faults=faults)


@router.get("/ui/job/preview")
def preview(door: TheDoor, who: Visiting, job_id: JobId, request: Request) -> Response:
    """The first answers there are; items without one yet are left out."""
    row = door.views.job(who.caller, job_id)
    files = _files(row) if row.output else []
    try:
        lines = [_answer(line) for line in door.results.lines(who.caller, job_id, -1, _LINES)]
    except Refusal as refusal:  # answers that lie where the server cannot read them
        return render(request, "_job_preview.html", job=row, lines=[], files=files, problem=refusal)
    return render(request, "_job_preview.html", job=row, lines=lines, files=files, problem=None)


def _head(door: Door, row: JobRow) -> dict[str, Any]:
    live = row.state not in JOB_OVER
    return {
        "job": row,
        "seed_status": job_summary(row).status,
        "mark": together({row.job_id: job_mark(row)}),
        "why": door.views.why_waiting(row),
        "rate": door.charts.throughput().get(row.job_key, 0.0) if live else 0.0,
        "over": not live,
        "may": {event.value for event in JobEvent if (row.state, event) in JOB},
        "until": row.finished_at or door.clock.now(),
        "submitter": door.charts.names([row.account_id])[row.account_id],
    }


def _chunks(door: Door, caller: Caller, row: JobRow, after: int, state: str) -> dict[str, Any]:
    known = {each.value: (each,) for each in ChunkState}
    rows, following = door.views.chunks(caller, row.job_id, after, _CHUNKS, known.get(state, ()))
    lines = [{"row": each, "seen": chunk_view(each), "version": _chunk_mark(each)} for each in rows]
    return {
        "job": row,
        "lines": lines,
        "following": following,
        "after": after,
        "chunk_state": state if state in known else "",
        "chunk_states": tuple(known),
    }


def _chunk_mark(row: ChunkRow) -> str:
    return mark_of(row.case.chunk.version, row.case.chunk.state, row.attempts_made, row.leased, row.invalid)


def _chunk(door: Door, caller: Caller, row: JobRow, number: int) -> dict[str, Any]:
    """Raises Refusal NOT_FOUND."""
    rows, _ = door.views.chunks(caller, row.job_id, number - 1, 1)
    if not rows or rows[0].case.chunk.chunk_id != number:
        raise Refusal(Code.NOT_FOUND, f"The job has no chunk {number}.", "Choose one from the table.")
    attempts, more = door.views.attempts(caller, row.job_id, number, 0, _ATTEMPTS)
    story, why, _ = door.views.story(caller, row.job_id, number, 0, _STORY)
    told = [_attempt(door, caller, row, each) for each in reversed(attempts)]
    return {
        "job": row,
        "seen": chunk_view(rows[0]),
        "version": mark_of(_chunk_mark(rows[0]), len(story), why, [each["log"] for each in told if not each["live"]]),
        "attempts": told,
        "more_attempts": more is not None,
        "story": story,
        "why_chunk": why,
        "moving": rows[0].leased or rows[0].case.chunk.state in (ChunkState.OPEN, ChunkState.VERIFYING),
    }


def _attempt(door: Door, caller: Caller, job: JobRow, row: AttemptRow) -> dict[str, Any]:
    """log: its end. live: it still runs; next: what of its log is known already, in bytes."""
    receipt = attempt_view(row).receipt
    log, state, known = row.log_tail, row.attempt.state, 0
    if state is AttemptState.LEASED:
        log, known = _log_so_far(door, caller, job, row)
    elif not log and state not in (AttemptState.QUEUED, AttemptState.DROPPED):
        log = _log_end(door, caller, job, row)
    shown = json.dumps(receipt, indent=2, ensure_ascii=False) if receipt else ""
    return {"row": row, "receipt": shown, "log": log, "live": state is AttemptState.LEASED, "next": known}


def _log_so_far(door: Door, caller: Caller, job: JobRow, row: AttemptRow) -> tuple[str, int]:
    """Up to the last whole character, so that what follows can be put behind it."""
    part = door.live_logs.look(caller, job.job_id, row.attempt.attempt_id, 0).part
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(part.data[-_LOG_BYTES:])
    return text, part.end - len(decoder.getstate()[0])


def _log_end(door: Door, caller: Caller, job: JobRow, row: AttemptRow) -> str:
    content = door.results.log(caller, job.job_id, row.attempt.attempt_id)
    start = max(0, content.size_bytes - _LOG_BYTES)
    if not content.size_bytes:  # a lost worker may have told of it while somebody looked
        return _log_so_far(door, caller, job, row)[0] if row.attempt.state is AttemptState.LOST else ""
    return b"".join(content.read(start, content.size_bytes - start)).decode("utf-8", "replace")


def _answer(line: bytes) -> dict[str, Any]:
    """bad: the answer is an error."""
    comma = line.index(b",")
    text = line[comma + len(b',"output":') :].rstrip().removesuffix(b"}")
    shown = text[: 4 * _LINE_CHARACTERS].decode("utf-8", "replace")
    cut = shown[:_LINE_CHARACTERS] + ("…" if len(text) > _LINE_CHARACTERS else "")
    return {"item": int(line[len(b'{"item":') : comma]), "text": cut, "bad": text.startswith(b'{"error"')}


def _files(row: JobRow) -> list[tuple[str, int]]:
    """(name, bytes) of what was delivered."""
    facts = json.loads(row.output)["files"]
    return [(name, facts[name]["size_bytes"]) for name in NAMES if name in facts]


def _facts(row: JobRow) -> list[tuple[str, str]]:
    """What was asked for, as far as it was said or matters."""
    return [(name, value) for name, value in _all_facts(row) if value]


def _all_facts(row: JobRow) -> Iterator[tuple[str, str]]:
    spec = row.spec
    yield "Input", spec.input.uri
    yield "Input format", spec.input.format.value
    yield "Items", f"{spec.input.range.start} to {spec.input.range.end}" if spec.input.range else "all"
    yield "Output", spec.output_uri or "kept by this server"
    yield "Image" if spec.image else "Command", ran(spec)
    yield "Digest", spec.image.digest if spec.image else ""
    yield "Command", " ".join(spec.command) if spec.image else ""
    yield "Contract", spec.contract.value + (f", reuse: {spec.reuse.value}" if spec.contract.value == "stream" else "")
    yield "Verification", verify_text(spec.verify)
    yield "Environment", ", ".join(sorted(spec.env))  # the names only: values may be secret
    yield "Network", "outbound" if spec.outbound else ""
    limits = spec.limits
    yield "Time limits", "; ".join(_limits(limits.chunk_timeout_seconds, limits.item_timeout_seconds))
    yield "Memory limit", f"{limits.memory_bytes // (1 << 20)} MiB" if limits.memory_bytes else ""
    retry = spec.retry
    yield "Retries", f"up to {retry.max_errors} errors and {retry.max_attempts} attempts a chunk"
    yield "Error threshold", f"{100 * retry.error_threshold:g} % of the items"
    needs = spec.requirements
    wanted = (needs.label, needs.platform, f"{needs.accelerators} accelerators" if needs.accelerators else "")
    yield "Workers", ", ".join(str(each) for each in wanted if each)
    yield "Priority", str(spec.priority) if spec.priority else ""


def _limits(chunk: float, item: float | None) -> Iterator[str]:
    yield f"{chunk:g} s a chunk"
    if item is not None:
        yield f"{item:g} s an item"

"""BOINC's submit calls: submit_rpc_handler.php, job_file.php, get_output.php and server_status.php.

Every answer to a script is 200 with BOINC's XML, errors too: its bindings read nothing else.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import IO, Final

import anyio.to_thread
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from fallow.control.boinc.job_files import FILE_BYTES_MAX
from fallow.control.boinc.outputs import OutputFile
from fallow.control.callers import Caller
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros
from fallow.protocols.boinc import submit_reply as reply
from fallow.protocols.boinc.job_files import FilesCall, files_call, is_physical_name
from fallow.protocols.boinc.submit import BAD_XML, Call, batch_of, call_of
from fallow.protocols.boinc.submit_xml import BadXml
from fallow.web.boinc.forms import Form, read_form
from fallow.web.boinc.submitting import Submitting
from fallow.web.deps import Door, door_of
from fallow.web.streams import PIECE_BYTES

_NO_OP: Final = "request"  # the root of an answer to what is no call at all
_DAEMONS: Final = ("planner", "transitioner", "verifier", "assimilator", "janitor")


Answer = Callable[[Submitting, Caller, Call], bytes]


async def submit_rpc(request: Request) -> Response:
    """One call, in the form field `request`."""
    door = door_of(request)
    try:
        form = await read_form(request, door.settings.request_bytes_max)
    except Refusal as refusal:
        return _xml(reply.refused(_NO_OP, refusal))
    return await anyio.to_thread.run_sync(partial(_called, door.boinc.submitting, form.request, _CALLS))


async def job_file(request: Request) -> Response:
    """Which files are staged; or files to be staged, which follow the call in the same form."""
    door = door_of(request)
    asked = door.boinc.submitting

    def check(text: str) -> None:
        call = call_of(text, partial(_known, asked))
        _upload_names(files_call(call))
        _caller(asked, call).needs_owner()

    try:
        form = await read_form(request, door.settings.request_bytes_max, FILE_BYTES_MAX, check)
    except BadXml as wrong:
        return _xml(reply.error(_NO_OP, BAD_XML, f"bad XML: {wrong}"))
    except Refusal as refusal:
        return _xml(reply.refused("upload_files", refusal))
    calls: dict[str, Answer] = {"query_files": _query_files, "upload_files": partial(_upload_files, form)}
    try:
        return await anyio.to_thread.run_sync(partial(_called, asked, form.request, calls))
    finally:
        form.close()


def _called(asked: Submitting, text: str, calls: Mapping[str, Answer]) -> Response:
    try:
        call = call_of(text, partial(_known, asked))
    except BadXml as wrong:
        return _xml(reply.error(_NO_OP, BAD_XML, f"bad XML: {wrong}"))
    except Refusal as refusal:
        return _xml(reply.refused(_NO_OP, refusal))
    answer = calls.get(call.op)
    try:
        if answer is None:
            return _xml(reply.error(call.op, -1, f"no such call: {call.op}"))
        return _xml(answer(asked, _caller(asked, call), call))
    except BadXml as wrong:
        return _xml(reply.error(call.op, BAD_XML, f"bad XML: {wrong}"))
    except Refusal as refusal:
        return _xml(reply.refused(call.op, refusal))


def _caller(asked: Submitting, call: Call) -> Caller:
    if call.op == "ping" and not call.authenticator:  # it asks for nobody's things
        return Caller("", "", frozenset())
    return _known(asked, call)


def _known(asked: Submitting, call: Call) -> Caller:
    """Whose call it is. Also asked before much of a large one is read: strangers shall not fill the memory."""
    try:
        return asked.users.identify(call.authenticator).caller
    except Refusal as refusal:
        if refusal.code is not Code.UNAUTHENTICATED:
            raise
        raise Refusal(refusal.code, "bad authenticator") from None


def _create_batch(asked: Submitting, who: Caller, call: Call) -> bytes:
    expire_at = call.number("expire_time")
    batch_id = asked.batches.create(who, call.word("app_name"), call.word("batch_name"), expire_at)
    return reply.simple(call.op, "batch_id", batch_id)


def _submit_batch(asked: Submitting, who: Caller, call: Call) -> bytes:
    return reply.simple(call.op, "batch_id", asked.batches.submit(who, batch_of(call)))


def _estimate_batch(asked: Submitting, who: Caller, call: Call) -> bytes:
    return reply.simple(call.op, "seconds", asked.batches.estimate(who, batch_of(call)))


def _query_batches(asked: Submitting, who: Caller, call: Call) -> bytes:
    return reply.batches(call.op, asked.batches.listed(who, cpu=call.integer("get_cpu_time") != 0))


def _query_batch(asked: Submitting, who: Caller, call: Call) -> bytes:
    cpu, details = call.integer("get_cpu_time") != 0, call.integer("get_job_details") != 0
    facts, jobs = asked.batches.one(who, call.integer("batch_id"), call.word("batch_name"), cpu=cpu)
    return reply.batch(call.op, facts, jobs, details=details)


def _query_batch2(asked: Submitting, who: Caller, call: Call) -> bytes:
    now = asked.batches.now()
    jobs = asked.batches.jobs_named(who, call.words("batch_name"), call.number("min_mod_time"))
    return reply.batch_jobs(call.op, now, jobs)


def _query_job(asked: Submitting, who: Caller, call: Call) -> bytes:
    return reply.job(call.op, asked.outputs.instances(who, call.integer("job_id")))


def _query_completed_job(asked: Submitting, who: Caller, call: Call) -> bytes:
    return reply.completed_job(call.op, asked.outputs.completed(who, call.word("job_name")))


def _abort_batch(asked: Submitting, who: Caller, call: Call) -> bytes:
    asked.batches.abort(who, call.integer("batch_id"), call.word("batch_name"))
    return reply.success(call.op)


def _abort_jobs(asked: Submitting, who: Caller, call: Call) -> bytes:
    asked.batches.abort_jobs(who, call.words("job_name"))
    return reply.success(call.op)


def _retire_batch(asked: Submitting, who: Caller, call: Call) -> bytes:
    asked.batches.retire(who, call.integer("batch_id"), call.word("batch_name"))
    return reply.success(call.op)


def _set_expire_time(asked: Submitting, who: Caller, call: Call) -> bytes:
    expire_at = call.number("expire_time")
    asked.batches.set_expiry(who, call.integer("batch_id"), call.word("batch_name"), expire_at)
    return reply.success(call.op)


def _get_templates(asked: Submitting, who: Caller, call: Call) -> bytes:
    return reply.templates(call.op, asked.batches.templates(who, call.word("app_name"), call.word("job_name")))


def _ping(_asked: Submitting, _who: Caller, call: Call) -> bytes:
    return reply.success(call.op)


_CALLS: Final[Mapping[str, Answer]] = {
    "create_batch": _create_batch,
    "submit_batch": _submit_batch,
    "estimate_batch": _estimate_batch,
    "query_batches": _query_batches,
    "query_batch": _query_batch,
    "query_batch2": _query_batch2,
    "query_job": _query_job,
    "query_completed_job": _query_completed_job,
    "abort_batch": _abort_batch,
    "abort_jobs": _abort_jobs,
    "retire_batch": _retire_batch,
    "set_expire_time": _set_expire_time,
    "get_templates": _get_templates,
    "ping": _ping,
}


def _query_files(asked: Submitting, who: Caller, call: Call) -> bytes:
    said = files_call(call)
    return reply.absent_files(call.op, asked.files.absent(who, said.names, _delete_at(said)))


def _upload_files(form: Form, asked: Submitting, who: Caller, call: Call) -> bytes:
    said = files_call(call)
    names = _upload_names(said)
    if len(form.files) != len(names):
        raise Refusal(Code.BAD_REQUEST, f"{len(names)} files are named, and {len(form.files)} have come")
    for place, name in enumerate(names):
        file = form.files.get(f"file_{place}")
        if file is None:
            raise Refusal(Code.BAD_REQUEST, f"there is no file_{place}")
        asked.files.stage(who, name, _pieces(file), _delete_at(said))
    return reply.files_taken(call.op)


def _upload_names(said: FilesCall) -> tuple[str, ...]:
    for name in said.names:
        if not is_physical_name(name):
            raise Refusal(Code.BAD_REQUEST, f"bad file name: {name[:80]!r}")
    return said.names


def _delete_at(said: FilesCall) -> Micros:
    return Micros(int(max(0.0, min(said.delete_at, 1e11)) * 1e6))


def get_output(request: Request) -> Response:
    """Bytes of outputs. What is wrong is a line of text, with a status that a script can see."""
    asked, query = door_of(request).boinc.submitting, request.query_params
    command, signature = query.get("cmd", ""), query.get("auth_str", "")
    try:
        if command == "result_file":
            return _file(
                asked.outputs.result_file(query.get("result_name", ""), _integer(query, "file_num"), signature)
            )
        if command == "batch_files":
            batch_id = _integer(query, "batch_id")
            return _zip(asked.outputs.batch_zip(batch_id, signature), f"batch_{batch_id}.zip")
        if command == "workunit_files":
            job_id = _integer(query, "wu_id")
            return _zip(asked.outputs.job_zip(job_id, signature), f"job_{job_id}.zip")
        if command == "workunit_file":
            who = asked.users.identify(signature).caller
            return _file(asked.outputs.job_file(who, query.get("wu_name", ""), _integer(query, "file_num")))
        raise Refusal(Code.BAD_REQUEST, "bad command")
    except Refusal as refusal:
        unauthenticated = refusal.code is Code.UNAUTHENTICATED
        message = "bad authenticator" if unauthenticated else refusal.message
        status = _STATUS.get(refusal.code, HTTPStatus.BAD_REQUEST)
        return Response(f"ERROR: {message}\n", status, media_type="text/plain")


_STATUS: Final = {
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.UNAUTHENTICATED: HTTPStatus.FORBIDDEN,
    Code.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Code.STORAGE_UNREACHABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.STORAGE_FULL: HTTPStatus.SERVICE_UNAVAILABLE,
}


def server_status(request: Request) -> Response:
    """How many jobs there are, for monitors."""
    door, query = door_of(request), request.query_params
    counts = door.boinc.submitting.batches.counts()
    if query.get("counts"):
        return _xml(reply.job_counts(counts))
    return _xml(reply.server_status(door.clock.now() // 1_000_000, counts, _daemons(door)))


def _daemons(door: Door) -> list[tuple[str, str]]:
    wanted = {each.strip() for each in door.settings.roles.split(",")}
    return [(name, "running" if wanted & {"all", name} else "elsewhere") for name in _DAEMONS]


def _integer(query: Mapping[str, str], name: str) -> int:
    word = query.get(name, "0")
    return int(word) if word.isascii() and word.isdigit() and len(word) < 16 else -1


def _file(found: OutputFile) -> Response:
    headers = {"content-disposition": f'attachment; filename="{_safe(found.name)}"'}
    return Response(found.content, media_type="application/octet-stream", headers=headers)


def _zip(spool: IO[bytes], name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    closing = BackgroundTask(spool.close)
    return StreamingResponse(_pieces(spool), media_type="application/zip", headers=headers, background=closing)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece


def _safe(name: str) -> str:
    return "".join(each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in name)


def _xml(body: bytes) -> Response:
    return Response(body, media_type="text/xml", headers={"cache-control": "no-store"})


routes = [
    Route("/submit_rpc_handler.php", submit_rpc, methods=["POST"]),
    Route("/job_file.php", job_file, methods=["POST"]),
    *(Route(f"/get_output{number}.php", get_output, methods=["GET"]) for number in ("", "2", "3")),
    Route("/server_status.php", server_status, methods=["GET"]),
]

"""POST /boinc/file_upload_handler: BOINC's data server protocol. Every answer is 200; the status inside counts.

The body is XML and then raw bytes, whatever its Content-Type says.
"""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from fallow.control.boinc.uploads import ANSWER_BYTES_MAX, ROW_BYTES_MAX, Taken, UploadName
from fallow.core.refusals import Refusal
from fallow.protocols.boinc import names
from fallow.protocols.boinc.uploads import SizeQuery, Upload, parse_upload_head, reply
from fallow.protocols.boinc.xml import Unreadable
from fallow.web.boinc.threads import in_small_thread
from fallow.web.deps import Door, door_of
from fallow.web.streams import in_upload_thread

_HEAD_BYTES_MAX = 16 * 1024
_LOOK_BYTES = 64 * 1024  # no head is longer, and nearly all answers are shorter
_UPLOAD = b"<file_upload>"
_GOOD, _LATER, _NEVER = 0, 1, -1
_STATUS = {Taken.KEPT: _GOOD, Taken.AGAIN: _LATER, Taken.NEVER: _NEVER}


async def upload(request: Request) -> Response:
    """A size query, or (a part of) a file. A body that breaks off is kept as far as it came."""
    door = door_of(request)
    body, too_much, looked = bytearray(), False, False
    try:
        async for piece in request.stream():
            if len(body) > _LOOK_BYTES and not looked:  # nothing large is held for who was never asked for it
                looked = True
                if (refused := _stranger(door, bytes(body))) is not None:
                    return refused
            if len(body) + len(piece) > ANSWER_BYTES_MAX + _HEAD_BYTES_MAX:
                too_much = True
                break
            body += piece
    except ClientDisconnect:
        pass  # what came is kept below; nobody reads the answer
    if too_much:
        return _said(_NEVER, f"The file is larger than {ANSWER_BYTES_MAX} bytes.")
    whole = bytes(body)
    if len(whole) <= ROW_BYTES_MAX and _UPLOAD in whole:  # it becomes a row; others ask or write the object store
        return await in_small_thread(lambda: _answered(door, whole))
    return await in_upload_thread(lambda: _answered(door, whole), None)


def _stranger(door: Door, body: bytes) -> Response | None:
    """What to say to who sends something that was never asked for."""
    try:
        known = named(door, parse_upload_head(body).name)
    except Unreadable as wrong:
        return _said(_NEVER, str(wrong))
    return None if known is not None else _said(_NEVER, "That file was never asked for.")


def _answered(door: Door, body: bytes) -> Response:
    try:
        asked = parse_upload_head(body)
    except Unreadable as wrong:
        return _said(_NEVER, str(wrong))
    file = named(door, asked.name)
    if file is None:
        return _said(_NEVER, "That file was never asked for.")
    try:
        if isinstance(asked, SizeQuery):
            return Response(reply(_GOOD, file_size=door.boinc.uploads.size(file)), media_type="text/xml")
        return _taken(door, file, asked, body)
    except Refusal as refusal:  # the object store is full or away: the client has the bytes, and comes again
        return _said(_LATER, str(refusal))


def _taken(door: Door, file: UploadName, asked: Upload, body: bytes) -> Response:
    data = body[asked.data_start :]
    if len(data) > asked.size_bytes - asked.offset:
        return _said(_NEVER, "There are more bytes than the request says.")
    done = door.boinc.uploads.take(file, asked.offset, asked.size_bytes, asked.md5, data)
    return _said(_STATUS[done.taken], done.why)


def named(door: Door, name: str) -> UploadName | None:
    """The file, if its name is one that we gave."""
    parsed = names.parse_file_name(name)
    if parsed is None or parsed.kind != "answer" or not names.is_ours(door.boinc.secret, parsed):
        return None
    return UploadName(parsed.result_id, names.directory_of(name), name)


def answer_file(door: Door, result_id: int) -> UploadName:
    """Where the answer of this result goes."""
    name = names.file_name("answer", result_id, names.token_of(door.boinc.secret, result_id))
    return UploadName(result_id, names.directory_of(name), name)


def _said(status: int, message: str) -> Response:
    return Response(reply(status, message), media_type="text/xml")


routes = [Route("/file_upload_handler", upload, methods=["POST"])]

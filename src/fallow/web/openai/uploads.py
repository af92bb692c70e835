"""POST /v1/uploads: files that come in parts."""

from fastapi import APIRouter, Request

from fallow.control.callers import Caller
from fallow.control.files import checked_naming
from fallow.protocols.openai.messages import CompleteUpload, CreateUpload, UploadObject, UploadPart
from fallow.web.deps import Door, TheDoor
from fallow.web.openai.bodies import Body, parsed
from fallow.web.openai.callers import Holder
from fallow.web.openai.files import check_length
from fallow.web.openai.multipart import read_form
from fallow.web.openai.objects import upload_object, upload_part
from fallow.web.streams import body_pieces, in_upload_thread

router = APIRouter()


@router.post("/uploads")
def create(door: TheDoor, who: Holder, body: Body) -> UploadObject:
    """Begins an upload; it waits an hour for its parts."""
    asked = parsed(CreateUpload, body)
    keep = asked.expires_after.seconds if asked.expires_after is not None else None
    naming = checked_naming(asked.filename, asked.purpose, keep)
    return upload_object(door.uploads.create(who, naming, asked.bytes, asked.mime_type))


@router.post("/uploads/{upload_id}/parts")
async def add_part(door: TheDoor, who: Holder, upload_id: str, request: Request) -> UploadPart:
    """One part; several may come at once, and in any order."""
    check_length(request, door.settings.upload_bytes_max)
    return await in_upload_thread(lambda: _add_part(door, who, upload_id, request), who.account_id)


def _add_part(door: Door, who: Caller, upload_id: str, request: Request) -> UploadPart:
    with door.uploads.incoming_part(who, upload_id) as coming:
        read_form(request.headers.get("content-type"), body_pieces(request.receive), "data", coming.write)
    assert coming.row is not None, "the context has ended"
    return upload_part(coming.row)


@router.post("/uploads/{upload_id}/complete")
def complete(door: TheDoor, who: Holder, upload_id: str, body: Body) -> UploadObject:
    """The parts, in the order of part_ids, are a file now."""
    asked = parsed(CompleteUpload, body)
    return upload_object(door.uploads.complete(who, upload_id, asked.part_ids, asked.md5))


@router.post("/uploads/{upload_id}/cancel")
def cancel(door: TheDoor, who: Holder, upload_id: str) -> UploadObject:
    """Its parts are removed."""
    return upload_object(door.uploads.cancel(who, upload_id))

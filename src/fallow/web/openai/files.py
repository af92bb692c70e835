"""POST, GET and DELETE /v1/files."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from fallow.control.callers import Caller
from fallow.control.files import LIST_MAX, Naming, checked_naming
from fallow.core.refusals import Code, Refusal
from fallow.protocols.openai.messages import FileDeleted, FileObject, Page
from fallow.web.deps import Door, TheDoor
from fallow.web.openai.callers import Holder
from fallow.web.openai.multipart import Form, read_form
from fallow.web.openai.objects import file_object, page_of
from fallow.web.readings import ranged
from fallow.web.streams import body_pieces, in_upload_thread

router = APIRouter()
_FORM_BYTES: int = 1024 * 1024  # what a form needs beside its file, at most
_IDS = Query(max_length=80)


@router.post("/files")
async def create(door: TheDoor, who: Holder, request: Request) -> FileObject:
    """Keeps a file, streamed to where it stays."""
    check_length(request, door.settings.upload_bytes_max)
    return await in_upload_thread(lambda: _create(door, who, request), who.account_id)


def _create(door: Door, who: Caller, request: Request) -> FileObject:
    with door.files.incoming(who) as coming:
        form = read_form(request.headers.get("content-type"), body_pieces(request.receive), "file", coming.write)
        coming.naming = _naming(form)
    assert coming.row is not None, "it was named, and the context has ended"
    return file_object(coming.row)


@router.get("/files")
def listed(
    door: TheDoor,
    who: Holder,
    after: Annotated[str | None, _IDS] = None,
    limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = LIST_MAX,
    order: Literal["asc", "desc"] = "desc",
    purpose: Annotated[str, Query(max_length=60)] = "",
) -> Page:
    """The caller's files, newest first."""
    rows, more = door.files.listed(who, after=after, newest_first=order == "desc", limit=limit, purpose=purpose)
    return page_of([file_object(row) for row in rows], more)


@router.get("/files/{file_id}")
def retrieve(door: TheDoor, who: Holder, file_id: str) -> FileObject:
    return file_object(door.files.file(who, file_id))


@router.head("/files/{file_id}/content", include_in_schema=False)
@router.get("/files/{file_id}/content")
def content(door: TheDoor, who: Holder, file_id: str, request: Request) -> Response:
    """The bytes, whole or by Range; a large file may be given by another address (file_redirect_bytes)."""
    row, found = door.files.content(who, file_id)
    elsewhere = door.files.elsewhere(row)
    if elsewhere is not None:
        return RedirectResponse(elsewhere, 302, {"cache-control": "no-store"})
    is_lines = row.filename.endswith(".jsonl")
    return ranged(request, found, "application/jsonl" if is_lines else "application/octet-stream")


@router.delete("/files/{file_id}")
def delete(door: TheDoor, who: Holder, file_id: str) -> FileDeleted:
    """Nobody sees it any more; a batch that has yet to read it still can."""
    door.files.delete(who, file_id)
    return FileDeleted(id=file_id)


def check_length(request: Request, size_bytes_max: int) -> None:
    """Before a body is read that says it is too long. Raises Refusal TOO_LARGE."""
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and int(said) > size_bytes_max + _FORM_BYTES:
        raise Refusal(
            Code.TOO_LARGE,
            f"The file is larger than the {size_bytes_max} bytes this server takes.",
            "Send a smaller one.",
            {"field": "file"},
        )


def _naming(form: Form) -> Naming:
    anchor, keep = form.field("expires_after[anchor]"), form.field("expires_after[seconds]")
    if anchor not in (None, "created_at"):
        raise Refusal(
            Code.BAD_REQUEST,
            "Files expire by their age.",
            "Say created_at.",
            {"field": "expires_after.anchor"},
        )
    if keep is not None and not (keep.isascii() and keep.isdigit() and len(keep) < 10):
        raise Refusal(Code.BAD_REQUEST, "It is no number of seconds.", "", {"field": "expires_after.seconds"})
    purpose = form.field("purpose")
    if purpose is None:
        raise Refusal(Code.BAD_REQUEST, "The form names no purpose.", "Say purpose=batch.", {"field": "purpose"})
    return checked_naming(form.filename or "", purpose, int(keep) if keep is not None else None)

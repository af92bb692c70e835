"""/receipts: whose work is this line? The image, the worker, the input it was made from, and the proof."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from fallow.control.lookup import LINE_BYTES_MAX, Found, Missed
from fallow.core.merkle import leaf_hash
from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.refusals import status_of
from fallow.web.deps import TheDoor
from fallow.web.ui.rendering import HEADERS, render
from fallow.web.ui.visitor import Acting, Visiting

router = APIRouter()
_LINE_SHOWN: Final = 4000  # characters; the line itself may be as long as it likes
_ITEM_MAX: Final = 2**53

JobId = Annotated[str, Query(max_length=128)]
Item = Annotated[str, Query(max_length=20)]


async def posted(request: Request, _who: Acting) -> FormData:
    return await request.form()


Posted = Annotated[FormData, Depends(posted)]


@router.get("/receipts")
def receipts(door: TheDoor, who: Visiting, request: Request, job_id: JobId = "", item: Item = "") -> Response:
    """The form; with a job and an item, what is known of that item's line."""
    if not (job_id and item):
        return _page(request, job_id=job_id, item=item)
    try:
        return _page(request, job_id=job_id, item=item, found=door.lookup.item(who.caller, job_id, _number(item)))
    except Refusal as refusal:
        return _page(request, job_id=job_id, item=item, refusal=refusal)


@router.post("/receipts")
def look_up(door: TheDoor, who: Acting, form: Posted, request: Request) -> Response:
    """A line that was pasted or sent as a file; with an item's number beside it, that item is compared with it."""
    job_id, item, line = _text(form, "job_id")[:128].strip(), _text(form, "item")[:20].strip(), _line(form)
    try:
        if not line.strip(b"\r\n") and job_id and item:
            found: Found | Missed = door.lookup.item(who.caller, job_id, _number(item))
        else:
            found = door.lookup.line(who.caller, line, job_id or None)
    except Refusal as refusal:
        return _page(request, job_id=job_id, item=item, line=line, refusal=refusal)
    if isinstance(found, Missed):
        return _page(request, job_id=job_id, line=line, missed=found)
    return _page(request, job_id=job_id, line=line, found=found)


@router.get("/receipts/proof")
def proof(door: TheDoor, who: Visiting, job_id: JobId, item: Item) -> Response:
    """The proof of one item's line as a file, for `fallow verify --proof`."""
    found = door.lookup.item(who.caller, job_id, _number(item))
    if found.proof is None:
        raise Refusal(
            Code.NOT_FOUND, "Nobody signed this line: it is an error line of the server.", "See the item's story."
        )
    return _download(found.proof.document(), f"{found.job.job_id}-item-{found.item}-proof.json", "application/json")


@router.get("/receipts/line")
def line_of(door: TheDoor, who: Visiting, job_id: JobId, item: Item) -> Response:
    """The line itself, byte for byte, without its newline."""
    found = door.lookup.item(who.caller, job_id, _number(item))
    return _download(found.line, f"{found.job.job_id}-item-{found.item}.json", "application/octet-stream")


def _download(data: bytes, name: str, media_type: str) -> Response:
    """name: of a job's id and a number, so that it is safe in a header."""
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}"'}
    return Response(data, 200, headers, media_type)


def _number(text: str) -> int:
    """Raises Refusal BAD_REQUEST."""
    if not (text.isascii() and text.isdigit() and int(text) <= _ITEM_MAX):
        raise Refusal(Code.BAD_REQUEST, "That is not an item's number.", "Items are counted from 0.", {"field": "item"})
    return int(text)


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def _line(form: FormData) -> bytes:
    file = form.get("file")
    if isinstance(file, UploadFile) and file.filename:
        return file.file.read(LINE_BYTES_MAX + 3)
    return _text(form, "line").encode("utf-8", "surrogatepass")


def _page(
    request: Request,
    *,
    job_id: str = "",
    item: str = "",
    line: bytes = b"",
    found: Found | None = None,
    missed: Missed | None = None,
    refusal: Refusal | None = None,
) -> Response:
    text = line.decode("utf-8", "replace")
    return render(
        request,
        "receipts.html",
        status=status_of(refusal.code) if refusal else 200,
        job_id=job_id or (found.job.job_id if found else ""),
        item=item,
        line=text if len(text) <= _LINE_SHOWN else "",
        found=found,
        shown=found.line.decode("utf-8", "replace")[:_LINE_SHOWN] if found else "",
        leaf=leaf_hash(found.line).hex() if found else "",
        missed=missed,
        refusal=refusal,
        wrong=str(refusal.details.get("field", "")) if refusal else "",
    )

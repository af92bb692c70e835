"""PUT /api/inputs/{name}: a submitter's input, streamed into the object store; resumable."""

import anyio.to_thread
from fastapi import APIRouter, Request, Response

from fallow.artifacts.port import Verb, is_component
from fallow.artifacts.served import Received
from fallow.artifacts.signing import Grant
from fallow.control.callers import Caller
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros, Scope
from fallow.protocols.rest.jobs import Uploaded
from fallow.web.deps import Door, TheDoor, Who
from fallow.web.objects import receive_upload, upload_offset, uploaded

router = APIRouter(prefix="/api/inputs", tags=["inputs"])
_FOREVER = Micros(2**62)  # the grant is used at once and never leaves this process


@router.put("/{name}", status_code=201, response_model=Uploaded, responses={202: {"description": "More is awaited."}})
async def upload(door: TheDoor, who: Who, name: str, request: Request) -> Response:
    """Upload an input; `uri` in the answer is what to submit.

    The body is the file. With `Content-Range: bytes FIRST-LAST/TOTAL` it is the next piece of it. HEAD says, in
    Upload-Offset, how much of an upload that broke off is there. The same name stands for the same bytes while an
    upload is under way.
    """
    grant = _grant(door, who, name)
    received = await receive_upload(door, request, grant, account_id=who.account_id)
    if not received.complete:
        return uploaded(received)
    kept = await anyio.to_thread.run_sync(_keep, door, who, grant.key)
    return Response(kept.model_dump_json(), 201, media_type="application/json")


@router.head("/{name}")
def offset(door: TheDoor, who: Who, name: str) -> Response:
    """How much of an upload is there, in Upload-Offset."""
    grant = _grant(door, who, name)
    found = door.served.upload_size(grant)
    return upload_offset(Received(0) if found.complete else found)


def _keep(door: Door, who: Caller, key: str) -> Uploaded:
    """Move what was uploaded under the name of its content: jobs refer to it, and the upload's name is free again."""
    stored = door.intake.upload(who, door.places.artifacts.get(key))
    door.places.artifacts.delete([key])
    return Uploaded(uri=f"fallow:{stored.key}", sha256=stored.sha256, size_bytes=stored.size_bytes)


def _grant(door: Door, who: Caller, name: str) -> Grant:
    who.needs(Scope.SUBMIT, Scope.OPERATE)
    if not is_component(name):
        raise Refusal(
            Code.BAD_REQUEST,
            f"{name[:60]!r} cannot name an upload.",
            "Use letters, digits and _ . = @ ~ : -, at most 200.",
            {"field": "name"},
        )
    key = f"uploads/{who.account_id}/{name}"
    return Grant(Verb.PUT, key, _FOREVER, size_bytes_max=door.settings.upload_bytes_max)

"""What one does on /account about BOINC: another key, keys of single machines."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from fallow.core.refusals import Refusal
from fallow.web.boinc.attach import attach_line
from fallow.web.deps import TheDoor
from fallow.web.ui.account_page import PAGE, page
from fallow.web.ui.rendering import see_other
from fallow.web.ui.visitor import Acting

router = APIRouter(prefix=f"{PAGE}/boinc")
Line = Annotated[str, Form(max_length=400)]


@router.post("/renew")
def renew(door: TheDoor, who: Acting) -> Response:
    """Another key for all one's machines."""
    door.people.boinc_users.renew(who.caller)
    return see_other(PAGE, "done", "Your BOINC key is another one now. Attach your machines anew.")


@router.post("/keys")
def make_key(door: TheDoor, request: Request, who: Acting, name: Line) -> Response:
    """A key for one machine, shown on the page that answers, and never again."""
    try:
        row, key = door.people.worker_keys.create(who.caller, name)
    except Refusal as refusal:
        return page(door, request, who, problem=refusal)
    return page(door, request, who, new_key=(row.name, attach_line(door.settings, key)))


@router.post("/keys/revoke")
def revoke_key(door: TheDoor, who: Acting, key_id: Line) -> Response:
    """A machine's key opens nothing any more."""
    door.people.worker_keys.revoke(who.caller, key_id)
    return see_other(PAGE, "done", "The machine's key is revoked: it gets no work any more.")

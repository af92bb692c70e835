"""What people do about volunteering: an operator labels a machine, oneself chooses a team and who sees one's name."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from fallow.core.labels import LabelSource
from fallow.core.refusals import Refusal
from fallow.core.words import Label
from fallow.web.deps import TheDoor
from fallow.web.ui.account_page import PAGE, page
from fallow.web.ui.rendering import see_other
from fallow.web.ui.visitor import Acting

router = APIRouter()
Named = Annotated[str, Form(min_length=1, max_length=64)]
LabelAsked = Annotated[Literal["", "edge", "on_prem", "cloud"], Form()]
Line = Annotated[str, Form(max_length=400)]


@router.post("/worker/label")
def label(door: TheDoor, who: Acting, worker_id: Named, label: LabelAsked = "") -> Response:
    """What an operator calls a BOINC client; "" for nothing any more."""
    counts = door.boinc.machines.set_label(who.caller, worker_id, Label(label) if label else None)
    if counts.source in (LabelSource.CLIENT, LabelSource.VENUE):
        said = f"The label is kept. What counts is {counts.label}: its {counts.source} says so."
    else:
        said = f"The label is {counts.label or 'none'} now."
    return see_other(f"/worker?worker_id={worker_id}", "done", said)


@router.post(f"{PAGE}/boinc/standing")
def choose(
    door: TheDoor, request: Request, who: Acting, team: Line = "", listed: Annotated[bool, Form()] = False
) -> Response:
    """One's team, and whether others see one's name."""
    try:
        user = door.people.boinc_users.own_user(who.caller)
        door.boinc.standings.choose(who.caller, user, team, listed=listed)
    except Refusal as refusal:
        return page(door, request, who, problem=refusal)
    return see_other(PAGE, "done", "Your team and your wish are kept.")

"""/leaders: whose machines compute most, people and teams."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from fallow.core.refusals import Code, Refusal
from fallow.web.deps import TheDoor
from fallow.web.ui.rendering import render
from fallow.web.ui.visitor import Looking

router = APIRouter()


@router.get("/leaders")
def leaders(door: TheDoor, who: Looking, request: Request) -> Response:
    """Those that are listed, best first."""
    if not door.settings.boinc:
        raise Refusal(Code.NOT_FOUND, "There is no leader board: this server takes no BOINC clients.")
    board = door.boinc.standings.leaders(who.caller)
    own = door.boinc.standings.own(who.caller) if who.signed_in and not who.caller.is_worker else None
    return render(request, "leaders.html", board=board, own=own, name=door.settings.boinc_name)

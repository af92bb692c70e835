"""/jobs: what there is to do and how it goes."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from fallow.web.deps import TheDoor
from fallow.web.ui.rendering import render
from fallow.web.ui.visitor import Looking

router = APIRouter()


@router.get("/", include_in_schema=False)
def front() -> Response:
    return RedirectResponse("/jobs", 307)


@router.get("/jobs")
def jobs(door: TheDoor, who: Looking, request: Request) -> Response:
    rows, following = door.views.jobs(who.caller, None, 50)
    return render(request, "jobs.html", rows=rows, following=following)

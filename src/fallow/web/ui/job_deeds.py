"""The buttons of /job. Each is a plain form; a grave one asks first, in a dialog or, without JavaScript, on a page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import Response

from fallow.core.refusals import Code, Refusal
from fallow.web.deps import Door, TheDoor, named_job
from fallow.web.ui.job_page import JobId
from fallow.web.ui.rendering import render, see_other
from fallow.web.ui.visitor import Acting, Visiting, Visitor

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Deed:
    """question: asked first; "" when it can simply be undone. said: afterwards."""

    label: str
    said: str
    do: Callable[[Door, Visitor, str], object]
    question: str = ""
    leads_to: str = "/job"


DEEDS: Final[dict[str, Deed]] = {
    "pause": Deed("Pause", "The job is paused. What runs may finish.", lambda d, w, j: d.jobs.pause(w.caller, j)),
    "resume": Deed("Resume", "The job goes on.", lambda d, w, j: d.jobs.resume(w.caller, j)),
    "cancel": Deed(
        "Cancel",
        "The job is cancelled. What is finished stays readable.",
        lambda d, w, j: d.jobs.cancel(w.caller, j),
        "Cancel the job? What runs is stopped at once. What is finished stays readable, and it can be run again later.",
    ),
    "rerun": Deed(
        "Run again",
        "What was missing or had failed runs again.",
        lambda d, w, j: d.jobs.rerun(w.caller, j),
        "Run the job again? Only what is missing or failed is done again; finished chunks are kept.",
    ),
    "delete": Deed(
        "Delete",
        "The job is deleted.",
        lambda d, w, j: d.jobs.delete(w.caller, j),
        "Delete the job, with its outputs, logs and receipts on this server? This cannot be undone. What it delivered "
        "to a place of your own stays there.",
        "/jobs",
    ),
}
Verb = Annotated[str, Path(max_length=20)]


@router.get("/job/{verb}")
def sure(door: TheDoor, who: Visiting, verb: Verb, job_id: JobId, request: Request) -> Response:
    """The question as a page, for browsers without JavaScript."""
    deed = _deed(verb)
    row = door.views.job(who.caller, job_id)
    return render(request, "job_sure.html", job=row, verb=verb, deed=deed)


@router.post("/job/{verb}")
def done(door: TheDoor, who: Acting, verb: Verb, job_id: Annotated[str, Form(max_length=128)]) -> Response:
    deed = _deed(verb)
    back = "/job?" + urlencode({"job_id": named_job(job_id)})
    try:
        deed.do(door, who, job_id)
    except Refusal as refusal:
        if refusal.code is not Code.STATE_CONFLICT:
            raise
        return see_other(back, "problem", str(refusal))
    door.ring("planner")
    return see_other(back if deed.leads_to == "/job" else deed.leads_to, "done", deed.said)


def _deed(verb: str) -> Deed:
    if verb not in DEEDS:
        raise Refusal(Code.NOT_FOUND, "There is no such page.", "Go on from the list of jobs.")
    return DEEDS[verb]

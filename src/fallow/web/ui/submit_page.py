"""/submit: a form, then what the job would be, then the job. Plain forms do; a script shows how an upload goes."""

from collections.abc import Iterable
from pathlib import PurePath
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from fallow.control.estimates import DryRun, Fit
from fallow.control.intake import format_of_name
from fallow.core.job import Compare
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import Contract, Engine, InputFormat, Label
from fallow.protocols.rest.refusals import status_of
from fallow.store.port import JobRow
from fallow.web.deps import Door, TheDoor
from fallow.web.models import submission_for
from fallow.web.ui.figures import duration
from fallow.web.ui.job_form import FRESH, field_of, request_of, values_of, values_of_spec
from fallow.web.ui.rendering import render, see_other
from fallow.web.ui.visitor import Acting, Visiting, Visitor

router = APIRouter()
_ITEMS_SHOWN: Final = 8
_CHARACTERS_SHOWN: Final = 300
_MISFITS_SHOWN: Final = 20
_PIECE_BYTES: Final = 1 << 20


async def posted(request: Request, _who: Acting) -> FormData:
    """The form. Files in it lie on disk when they are not small; larger ones than a request may be come by script."""
    return await request.form()


Posted = Annotated[FormData, Depends(posted)]


@router.get("/submit")
def submit(
    door: TheDoor, who: Visiting, request: Request, clone: Annotated[str, Query(max_length=128)] = ""
) -> Response:
    """An empty form, or one that asks for what a job asked for."""
    values = values_of_spec(door.views.job(who.caller, clone).spec) if clone else dict(FRESH)
    return _form(door, who, request, values, clone=clone)


@router.post("/submit")
def preview(door: TheDoor, who: Acting, form: Posted, request: Request) -> Response:
    """What the job would be; or the form again, with what is wrong beside its field."""
    values = dict(FRESH)
    try:
        values = values_of(form)
        _take_file(door, who, form, values)
        run = door.estimates.dry_run(
            who.caller, submission_for(door, who.caller, request_of(values)), _ITEMS_SHOWN, _CHARACTERS_SHOWN
        )
    except Refusal as refusal:
        return _form(door, who, request, values, refusal)
    return render(request, "submit_preview.html", values=values, made_id=run.spec.job_id, **_shown(run))


@router.post("/submit/change")
def change(door: TheDoor, who: Acting, form: Posted, request: Request) -> Response:
    """Back to the form, as it was."""
    return _form(door, who, request, values_of(form))


@router.post("/submit/create")
def create(door: TheDoor, who: Acting, form: Posted, request: Request) -> Response:
    """The job that was shown. Sent twice, or again after going back, it leads to the same job."""
    values = values_of(form)
    made_id = form.get("made_id")
    asked = values | ({"job_id": made_id} if isinstance(made_id, str) and made_id else {})
    try:
        wanted = submission_for(door, who.caller, request_of(asked))
        job = _created(door, who, wanted)
    except Refusal as refusal:
        return _form(door, who, request, values, refusal)
    return see_other(f"/job?job_id={job.job_id}", "done", "The job is submitted.")


def _created(door: Door, who: Visitor, wanted: Submission) -> JobRow:
    try:
        job = door.intake.submit(who.caller, wanted)
    except Refusal as refusal:
        if refusal.code is not Code.JOB_ID_TAKEN:
            raise
        return _same_job(door, who, wanted, refusal)
    door.counters.submitted()
    door.ring("planner")
    return job


def _same_job(door: Door, who: Visitor, wanted: Submission, taken: Refusal) -> JobRow:
    """The job that the same form has created before; else the refusal stands."""
    try:
        there = door.views.job(who.caller, wanted.job_id or "")
    except Refusal:
        raise taken from None
    spec = there.spec
    same = (spec.input.uri, spec.command or wanted.command, spec.name) == (
        wanted.input_uri,
        wanted.command or spec.command,
        wanted.name,
    )
    if there.account_id != who.caller.account_id or not same:
        raise taken
    return there


def _take_file(door: Door, who: Visitor, form: FormData, values: dict[str, str]) -> None:
    """Keeps a file that came with the form, and names it as the input."""
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        return
    stored = door.intake.upload(who.caller, iter(lambda: file.file.read(_PIECE_BYTES), b""))
    values["input_uri"] = f"fallow:{stored.key}"
    if not values["input_format"]:
        found = format_of_name(PurePath(file.filename).name)
        values["input_format"] = found or ""
    if not values["name"]:
        values["name"] = PurePath(file.filename).name[:200]


def _form(
    door: Door, who: Visitor, request: Request, values: dict[str, str], refusal: Refusal | None = None, clone: str = ""
) -> Response:
    return render(
        request,
        "submit.html",
        status=status_of(refusal.code) if refusal else 200,
        values=values,
        refusal=refusal,
        wrong=field_of(refusal) if refusal else "",
        clone=clone,
        models=_pairs(row.name for row in door.models.listed(who.caller)),
        formats=_pairs(each.value for each in InputFormat if each is not InputFormat.BATCH),
        contracts=_pairs(Contract),
        labels=_pairs(Label),
        engines=_pairs(Engine),
        compares=_pairs(Compare),
        allow_process=door.settings.allow_process_jobs,
        advanced=any(values[name] != FRESH[name] for name in _ADVANCED),
    )


_ADVANCED: Final = (
    "range_start",
    "range_end",
    "env",
    "chunk_by",
    "verify",
    "item_timeout_seconds",
    "chunk_timeout_seconds",
    "memory_mib",
    "cpus",
    "max_errors",
    "max_attempts",
    "worker_label",
    "engine",
    "needs_memory_mib",
    "needs_cores",
    "needs_accelerators",
    "volunteers",
    "job_id",
    "more",
)


def _pairs(words: Iterable[str]) -> list[tuple[str, str]]:
    """(value, text) of options."""
    return [(str(word), str(word)) for word in words]


def slot_hours(seconds: float) -> str:
    """5760.0 is "1.6 slot-hours"; little of it is said as time."""
    hours = seconds / 3600
    if hours < 1:
        return duration(seconds)
    return f"{hours:,.0f} slot-hours" if hours >= 100 else f"{hours:.3g} slot-hours"


def _shown(run: DryRun) -> dict[str, Any]:
    """What the preview's template shows."""
    fitting = [fit for fit in run.fits if not fit.why_not]
    misfits: list[Fit] = [fit for fit in run.fits if fit.why_not]
    return {
        "run": run,
        "slot_hours": slot_hours,
        "spec": run.spec,
        "fitting": fitting,
        "slots": sum(fit.slots for fit in fitting),
        "busy": sum(min(fit.busy, fit.slots) for fit in fitting),
        "misfits": misfits[:_MISFITS_SHOWN],
        "misfits_more": max(0, len(misfits) - _MISFITS_SHOWN),
    }

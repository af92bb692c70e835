"""/jobs: what there is to do and how it goes, live."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from fallow.core.job import JobSpec
from fallow.core.words import JobState
from fallow.store.port import JobRow
from fallow.web.deps import Door, TheDoor
from fallow.web.messages import job_summary
from fallow.web.ui.rendering import render
from fallow.web.ui.streams import changes, job_mark, mark_of, marks_of, together
from fallow.web.ui.visitor import Looking, Visitor

router = APIRouter()
_PAGE: Final = 50
_LIVE: Final = (JobState.PLANNING, JobState.RUNNING, JobState.PAUSED, JobState.MERGING)
GROUPS: Final[dict[str, tuple[JobState, ...]]] = {
    "": (),
    "live": _LIVE,
    **{state.value: (state,) for state in JobState},
}
"""What the state filter offers, and which states each means."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What the address says is wanted. after: the last job of the page before."""

    q: str = ""
    state: str = ""
    submitter: str = ""
    after: str = ""

    @property
    def states(self) -> Sequence[JobState]:
        return GROUPS.get(self.state, ())

    def query(self, **other: str) -> str:
        """For an address; what is empty is left out."""
        given = {name: getattr(self, name) for name in ("q", "state", "submitter", "after")} | other
        return urlencode({name: value for name, value in given.items() if value})


def filters(
    q: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    submitter: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str, Query(max_length=128)] = "",
) -> Filters:
    return Filters(q.strip(), state, submitter, after)


Filtered = Annotated[Filters, Depends(filters)]


@router.get("/")
def front() -> Response:
    return RedirectResponse("/jobs", 307)


@router.get("/jobs")
def jobs(door: TheDoor, who: Looking, wanted: Filtered, request: Request) -> Response:
    return render(
        request,
        "jobs.html",
        **_table(door, who, wanted),
        groups=tuple(GROUPS),
        submitters=door.charts.submitters(who.caller),
    )


@router.get("/ui/jobs/table")
def table(door: TheDoor, who: Looking, wanted: Filtered, request: Request) -> Response:
    return render(request, "_jobs_table.html", **_table(door, who, wanted))


@router.get("/ui/jobs/events")
def events(door: TheDoor, who: Looking, wanted: Filtered, seen: Annotated[str, Query(max_length=64)] = "") -> Response:
    """Which rows of this very list changed, came or went."""

    def look() -> dict[str, str]:
        return marks_of(_rows(door, who, wanted)[0])

    return changes(door, look, seen)


def _rows(door: Door, who: Visitor, wanted: Filters) -> tuple[list[JobRow], str | None]:
    return door.charts.jobs(who.caller, wanted.q, wanted.states, wanted.submitter, wanted.after or None, _PAGE)


def _table(door: Door, who: Visitor, wanted: Filters) -> dict[str, Any]:
    rows, following = _rows(door, who, wanted)
    rates = door.charts.throughput() if any(row.state in _LIVE for row in rows) else {}
    names = door.charts.names(row.account_id for row in rows)
    lines = [
        _line(row, rates.get(row.job_key, 0.0) if row.state in _LIVE else 0.0, names[row.account_id]) for row in rows
    ]
    return {"lines": lines, "following": following, "wanted": wanted, "seen": together(marks_of(rows))}


def _line(row: JobRow, rate: float, submitter: str) -> dict[str, Any]:
    """version: changes when the line does."""
    return {
        "job": row,
        "status": job_summary(row).status,
        "rate": rate,
        "submitter": submitter,
        "image": ran(row.spec),
        "version": mark_of(job_mark(row), f"{rate:.3g}", submitter),
    }


def ran(spec: JobSpec) -> str:
    """What runs: the image as it was written, or the command."""
    return spec.image.reference if spec.image else " ".join(spec.command)

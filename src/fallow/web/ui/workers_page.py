"""/workers and /worker: who runs things, how well, and what each one did."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import JSONResponse, Response

from fallow.control.fleet_history import RECORD_ATTEMPTS, Asked, Seen, Timeline, WorkerState
from fallow.core.words import Label
from fallow.store.port import WorkerBucket, WorkerRow
from fallow.web.deps import Door, TheDoor
from fallow.web.ui.rendering import HEADERS, render, see_other
from fallow.web.ui.streams import changes, mark_of, together
from fallow.web.ui.visitor import Acting, Looking, Visitor

router = APIRouter()
_ROWS: Final = 50
_HISTORY_ROWS: Final = 50
_HEARD_MICROS: Final = 5_000_000
_HOURS: Final = {"1": "Hour", "24": "Day", "168": "Week"}

WorkerId = Annotated[str, Query(min_length=1, max_length=64)]
Named = Annotated[str, Form(min_length=1, max_length=64)]
LabelAsked = Literal["", "none", "edge", "on_prem", "cloud"]
StateAsked = Literal["", "active", "idle", "resting", "held", "leaving", "silent"]
Text = Annotated[str, Query(max_length=200)]
After = Annotated[str, Query(max_length=64)]
Before = Annotated[int | None, Query(ge=0, le=2**53)]
Hours = Literal["1", "24", "168"]


@dataclass(frozen=True, slots=True)
class Filters:
    """What the address asks for."""

    q: str
    label: str
    state: str
    after: str

    @property
    def asked(self) -> Asked:
        return Asked(
            label=Label(self.label) if self.label not in ("", "none") else None,
            unlabelled=self.label == "none",
            state=WorkerState(self.state) if self.state else None,
            text=self.q,
        )

    def query(self, **other: str) -> str:
        """For an address; what is empty is left out."""
        given = {"q": self.q, "label": self.label, "state": self.state, "after": self.after} | other
        return urlencode({name: value for name, value in given.items() if value})


def filters(label: LabelAsked = "", state: StateAsked = "", q: Text = "", after: After = "") -> Filters:
    return Filters(q.strip(), label, state, after)


Filtered = Annotated[Filters, Depends(filters)]


@router.get("/workers")
def workers(door: TheDoor, who: Looking, wanted: Filtered, request: Request) -> Response:
    return render(request, "workers.html", **_list(door, who, wanted), labels=[each.value for each in Label])


@router.get("/ui/workers/list")
def workers_list(door: TheDoor, who: Looking, wanted: Filtered, request: Request) -> Response:
    return render(request, "_workers_list.html", **_list(door, who, wanted))


@router.get("/ui/workers/events")
def workers_events(door: TheDoor, who: Looking, wanted: Filtered, seen: Text = "") -> Response:
    """Which rows of this very list changed, came or went."""
    return changes(door, lambda: _marks(door, who, wanted), seen)


def _marks(door: Door, who: Visitor, wanted: Filters) -> dict[str, str]:
    rows = door.fleet.rows(who.caller, wanted.asked, wanted.after or None, _ROWS)
    return {row.worker_id: _mark(row, state) for row, state in rows}


def _mark(row: WorkerRow, state: WorkerState) -> str:
    """Being heard of is a change every few seconds only: what it did since is shown with it."""
    moves = (row.attempts_leased, row.failures, row.label, row.name, row.capability)
    return mark_of(state, *moves, row.seen_at // _HEARD_MICROS)


def _list(door: Door, who: Visitor, wanted: Filters) -> dict[str, Any]:
    page = door.fleet.listed(who.caller, wanted.asked, wanted.after or None, _ROWS)
    marks: dict[str, str] = {seen.row.worker_id: _mark(seen.row, seen.state) for seen in page.rows}
    return {
        "page": page,
        "marks": marks,
        "seen_mark": together(marks),
        "wanted": wanted,
        "states": [each.value for each in WorkerState],
        "record_attempts": RECORD_ATTEMPTS,
    }


@router.get("/worker")
def worker(
    door: TheDoor, who: Looking, request: Request, worker_id: WorkerId, before: Before = None, hours: Hours = "24"
) -> Response:
    values = _now(door, who, worker_id) | _history(door, who, worker_id, before)
    timeline = door.fleet.timeline(who.caller, worker_id, int(hours))
    may_hold = who.signed_in and door.fleet.may_hold(who.caller, values["seen"].row)
    values |= {"may_hold": may_hold, "machine": door.boinc.machines.of_worker(worker_id), "labels": list(Label)}
    return render(request, "worker.html", timeline=timeline, hours=hours, spans=_HOURS, **values)


@router.get("/ui/worker/now")
def worker_now(door: TheDoor, who: Looking, request: Request, worker_id: WorkerId) -> Response:
    """Its state and what it holds."""
    return render(request, "_worker_now.html", **_now(door, who, worker_id))


@router.get("/ui/worker/history")
def worker_history(
    door: TheDoor, who: Looking, request: Request, worker_id: WorkerId, before: Before = None, hours: Hours = "24"
) -> Response:
    """A page of what it did."""
    seen = door.fleet.worker(who.caller, worker_id)
    return render(request, "_worker_history.html", seen=seen, hours=hours, **_history(door, who, worker_id, before))


@router.get("/ui/worker/events")
def worker_events(door: TheDoor, who: Looking, worker_id: WorkerId, seen: Text = "") -> Response:
    return changes(door, lambda: _marks_of_one(door.fleet.worker(who.caller, worker_id)), seen)


def _marks_of_one(seen: Seen) -> dict[str, str]:
    return {seen.row.worker_id: mark_of(_mark(seen.row, seen.state), seen.record)}


def _now(door: Door, who: Visitor, worker_id: str) -> dict[str, Any]:
    seen = door.fleet.worker(who.caller, worker_id)
    return {
        "seen": seen,
        "seen_mark": together(_marks_of_one(seen)),
        "now": door.clock.now(),
        "leases": door.fleet.leases(who.caller, worker_id),
        "record_attempts": RECORD_ATTEMPTS,
    }


def _history(door: Door, who: Visitor, worker_id: str, before: int | None) -> dict[str, Any]:
    deeds, following = door.fleet.history(who.caller, worker_id, before, _HISTORY_ROWS)
    return {"deeds": deeds, "before": before, "following": following}


@router.get("/worker/timeline")
def timeline(door: TheDoor, who: Looking, worker_id: WorkerId, hours: Hours = "24") -> Response:
    """The chart's numbers: [[seconds...], [items/s...], [failures...]]."""
    return JSONResponse(_series(door.fleet.timeline(who.caller, worker_id, int(hours))), headers=dict(HEADERS))


def _series(found: Timeline) -> list[list[float]]:
    """Every span, the empty ones too: a line through gaps would say that work went on."""
    rows: dict[int, WorkerBucket] = {row.start: row for row in found.rows}
    starts = range(found.since, found.until, found.span)
    seconds = found.span / 1e6
    items = [round(rows[at].items / seconds, 4) if at in rows else 0.0 for at in starts]
    failures: list[float] = [rows[at].failures if at in rows else 0 for at in starts]
    return [[at / 1e6 for at in starts], items, failures]


@router.post("/worker/hold")
def hold(door: TheDoor, who: Acting, worker_id: Named) -> Response:
    door.fleet.hold(who.caller, worker_id)
    return _back(door, who, worker_id, "It gets nothing new; what it holds it may finish.")


@router.post("/worker/release")
def release(door: TheDoor, who: Acting, worker_id: Named) -> Response:
    door.fleet.release(who.caller, worker_id)
    return _back(door, who, worker_id, "It gets work again.")


def _back(door: Door, who: Visitor, worker_id: str, said: str) -> Response:
    seen = door.fleet.worker(who.caller, worker_id)
    return see_other(f"/worker?worker_id={seen.row.worker_id}", "done", said)

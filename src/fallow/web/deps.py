"""What the door needs to know of the house, and how a handler gets at it and at its caller."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Annotated, cast

from fastapi import Depends, Request

from fallow.artifacts.served import Served
from fallow.clock import Clock
from fallow.control.batches import Batches
from fallow.control.callers import Caller, Keys
from fallow.control.charts import Charts
from fallow.control.estimates import Estimates
from fallow.control.feeds import Feeds
from fallow.control.files import Files
from fallow.control.fleet_history import Fleet
from fallow.control.intake import Intake
from fallow.control.jobs import Jobs
from fallow.control.links import Links
from fallow.control.live_logs import LiveLogs
from fallow.control.lookup import Lookup
from fallow.control.models import Models
from fallow.control.notices import Notices
from fallow.control.people import People
from fallow.control.places import Places
from fallow.control.results import Results
from fallow.control.tracing import Tracing
from fallow.control.uploads import Uploads
from fallow.control.views import Views
from fallow.control.webhooks import Webhooks
from fallow.control.work import Work
from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.jobs import is_job_id
from fallow.settings import Settings
from fallow.web.bells import Bells
from fallow.web.boinc.parts import Boinc
from fallow.web.browsers import SAFE, check_form_token, session_cookie
from fallow.web.counters import Counters
from fallow.web.oidc import Oidc
from fallow.web.shelf import Shelf
from fallow.web.signin import SignIn


@dataclass(frozen=True, slots=True)
class Door:
    """checks: what /readyz asks, by name; each raises a Refusal when its part cannot be reached. ring: tells a role of
    this process, by name, that there is something to do. closing: set at the process's end, for endless answers."""

    settings: Settings
    clock: Clock
    keys: Keys
    signin: SignIn
    people: People
    intake: Intake
    estimates: Estimates
    fleet: Fleet
    lookup: Lookup
    feeds: Feeds
    jobs: Jobs
    views: Views
    charts: Charts
    results: Results
    work: Work
    shelf: Shelf
    places: Places
    served: Served
    counters: Counters
    checks: Mapping[str, Callable[[], None]]
    ring: Callable[[str], None]
    bells: Bells
    closing: Event
    notices: Notices
    webhooks: Webhooks
    models: Models
    files: Files
    uploads: Uploads
    batches: Batches
    links: Links
    live_logs: LiveLogs
    boinc: Boinc
    tracing: Tracing | None = None
    oidc: Oidc | None = None


async def the_door(request: Request) -> Door:
    return door_of(request)


def door_of(request: Request) -> Door:
    """The door this request came in by."""
    return cast(Door, request.app.state.door)


def signed_in(request: Request) -> Caller:
    """Who calls: a key, or a browser of ours. Raises Refusal UNAUTHENTICATED, or FORBIDDEN for what another site made
    the browser ask."""
    door, authorization = door_of(request), request.headers.get("authorization")
    cookie = session_cookie(request, door.settings)
    if authorization is not None or not cookie:
        return door.signin.caller(authorization)
    found = door.people.sessions.open(cookie)
    if request.method not in SAFE:
        check_form_token(request, door.settings, found.session, request.headers.get("x-csrf-token"))
    return found.caller


def reading(request: Request) -> Caller:
    """Who calls one of the seed's reading calls, which an open server answers to anybody."""
    door, authorization = door_of(request), request.headers.get("authorization")
    if authorization is None and session_cookie(request, door.settings):
        return signed_in(request)
    return door.signin.reader(authorization)


def named_job(job_id: str) -> str:
    """The id in the path, if it can name a job. Raises Refusal NOT_FOUND: what cannot be a name names nothing."""
    if not is_job_id(job_id):
        raise Refusal(Code.NOT_FOUND, f"There is no job {job_id[:60]!r}.", "See fallow jobs.")
    return job_id


TheDoor = Annotated[Door, Depends(the_door)]
Who = Annotated[Caller, Depends(signed_in)]
Reader = Annotated[Caller, Depends(reading)]
NamedJob = Annotated[str, Depends(named_job)]

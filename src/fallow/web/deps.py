"""What the door needs to know of the house, and how a handler gets at it and at its caller."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Annotated, cast

from fastapi import Depends, Request

from fallow.artifacts.served import Served
from fallow.clock import Clock
from fallow.control.callers import Caller, Keys
from fallow.control.charts import Charts
from fallow.control.estimates import Estimates
from fallow.control.feeds import Feeds
from fallow.control.intake import Intake
from fallow.control.jobs import Jobs
from fallow.control.places import Places
from fallow.control.links import Links
from fallow.control.notices import Notices
from fallow.control.people import People
from fallow.control.results import Results
from fallow.control.tracing import Tracing
from fallow.control.views import Views
from fallow.control.work import Work
from fallow.control.webhooks import Webhooks
from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.jobs import is_job_id
from fallow.settings import Settings
from fallow.web.counters import Counters
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
    intake: Intake
    estimates: Estimates
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
    closing: Event
    tracing: Tracing | None = None


async def the_door(request: Request) -> Door:
    return door_of(request)


    notices: Notices
    webhooks: Webhooks
    links: Links
def door_of(request: Request) -> Door:
    """The door this request came in by."""
    return cast(Door, request.app.state.door)


def signed_in(request: Request) -> Caller:
    """Who calls. Raises Refusal UNAUTHENTICATED."""
    return door_of(request).signin.caller(request.headers.get("authorization"))


def reading(request: Request) -> Caller:
    """Who calls one of the seed's reading calls, which an open server answers to anybody."""
    return door_of(request).signin.reader(request.headers.get("authorization"))


def named_job(job_id: str) -> str:
    """The id in the path, if it can name a job. Raises Refusal NOT_FOUND: what cannot be a name names nothing."""
    if not is_job_id(job_id):
        raise Refusal(Code.NOT_FOUND, f"There is no job {job_id[:60]!r}.", "See fallow jobs.")
    return job_id


TheDoor = Annotated[Door, Depends(the_door)]
Who = Annotated[Caller, Depends(signed_in)]
Reader = Annotated[Caller, Depends(reading)]
NamedJob = Annotated[str, Depends(named_job)]

"""All pages as one part of the door, with their own way to say what went wrong."""

from fastapi import FastAPI
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fallow.web.bounds import Bounds
from fallow.web.deps import Door
from fallow.web.letters import router as letters
from fallow.web.ui.account_page import router as account_page
from fallow.web.ui.boinc_deeds import router as boinc_deeds
from fallow.web.ui.job_data import router as job_data
from fallow.web.ui.job_deeds import router as job_deeds
from fallow.web.ui.job_page import router as job_page
from fallow.web.ui.jobs_page import router as jobs_page
from fallow.web.ui.leaders_page import router as leaders_page
from fallow.web.ui.machine_deeds import router as machine_deeds
from fallow.web.ui.notices_page import router as notices_page
from fallow.web.ui.people_page import router as people_page
from fallow.web.ui.problems import handlers
from fallow.web.ui.receipts_page import router as receipts_page
from fallow.web.ui.sign_in_page import router as sign_in_page
from fallow.web.ui.statics import static
from fallow.web.ui.submit_page import router as submit_page
from fallow.web.ui.workers_page import router as workers_page

ROUTERS = (
    account_page,
    boinc_deeds,
    people_page,
    letters,
    notices_page,
    sign_in_page,
    jobs_page,
    job_page,
    job_data,
    job_deeds,
    receipts_page,
    submit_page,
    workers_page,
    leaders_page,
    machine_deeds,
)


def build_site(door: Door) -> "Site":
    pages = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, title="fallow")
    pages.exception_handlers.update(handlers())
    pages.state.door = door
    for router in ROUTERS:
        pages.include_router(router)
    pages.router.routes.append(Route("/static/{digest}/{name:path}", static))
    return Site(pages, Bounds(pages, door.settings))


class Site(BaseRoute):
    """Takes what one of the pages is for, and leaves the rest to whoever comes after it."""

    def __init__(self, pages: FastAPI, app: ASGIApp) -> None:
        self._pages = pages
        self._app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found = max((route.matches(scope)[0] for route in self._pages.routes), key=lambda match: match.value)
        return found, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

"""Templates become answers: always escaped, under a policy that lets a page use nothing but the server's own files."""

from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from fallow.web.deps import door_of
from fallow.web.health import VERSION
from fallow.web.ui import figures, flashes
from fallow.web.ui.statics import url_of
from fallow.web.ui.visitor import STRANGER

# form-action holds for redirects that follow a form too: whatever leads to another site must be a link.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


@cache
def environment() -> Environment:
    """A name that a template uses and nobody gave it is a mistake of ours, and raised at once."""
    made = Environment(
        loader=PackageLoader("fallow.web.ui"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(figures.FILTERS)
    made.globals.update(static=url_of, version=VERSION, percent=figures.percent, lasted=figures.lasted)
    return made


def text(request: Request, template: str, **values: Any) -> str:
    """The template's text. Beside `values` it sees `visitor`, `path`, `flash` (what the last form led to) and what
    the navigation needs."""
    who = getattr(request.state, "visitor", STRANGER)
    shows_leaders = door_of(request).settings.boinc
    shared = {"visitor": who, "path": request.url.path, "flash": flashes.read(request), "shows_leaders": shows_leaders}
    given = {**shared, **values}
    return environment().get_template(template).render(given)


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page, or a piece of one. Pieces are templates whose names start with "_"."""
    page = HTMLResponse(text(request, template, **values), status, dict(HEADERS))
    if not template.startswith("_"):
        flashes.forget(request, page)
    return page


def see_other(path: str, kind: str = "", said: str = "") -> RedirectResponse:
    """Where a form leads. path: of ours. said: one sentence that the next page shows; kind: "done" or "problem"."""
    answer = RedirectResponse(path, 303, {"cache-control": "no-store"})
    if said:
        flashes.leave(answer, kind, said)
    return answer

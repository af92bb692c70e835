"""Whatever goes wrong behind a page is a page too: what happened, and what to do about it."""

from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.refusals import status_of
from fallow.web.failures import REQUEST_ID, Handler, log_mistake
from fallow.web.streams import SenderGone
from fallow.web.ui.rendering import render, see_other

SIGN_IN = "/sign-in"


def problem(request: Request, refusal: Refusal, status: int | None = None) -> Response:
    """A refusal as a page; for a request of htmx, as a piece that takes the place of what was asked for."""
    template = "_problem.html" if request.headers.get("hx-request") else "problem.html"
    return render(request, template, status=status or status_of(refusal.code), refusal=refusal)


def handlers() -> dict[int | type[Exception], Handler]:
    """By kind of exception, for the pages' exception_handlers."""
    return {
        Refusal: _on_refusal,
        RequestValidationError: _on_invalid,
        HTTPException: _on_http,
        SenderGone: _on_sender_gone,
        Exception: _on_mistake,
    }


async def _on_refusal(request: Request, wrong: Refusal) -> Response:
    if wrong.code is Code.UNAUTHENTICATED and request.url.path != SIGN_IN:
        return _to_sign_in(request)
    return problem(request, wrong)


def _to_sign_in(request: Request) -> Response:
    """And back afterwards, when it was a page that was asked for."""
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    asked = request.headers.get("hx-request") or "text/event-stream" in request.headers.get("accept", "")
    if asked:
        return Response(status_code=401, headers={"hx-refresh": "true", "cache-control": "no-store"})
    return see_other(f"{SIGN_IN}?next={quote(back, safe='')}" if request.method in ("GET", "HEAD") else SIGN_IN)


async def _on_http(request: Request, wrong: HTTPException) -> Response:
    if isinstance(wrong.__cause__, Refusal):  # a body that was refused while the framework read it
        return problem(request, wrong.__cause__)
    if wrong.status_code == 404:
        return problem(
            request, Refusal(Code.NOT_FOUND, "There is no such page.", "Go to the jobs and look from there.")
        )
    said = "This page does not take that." if wrong.status_code == 405 else f"{str(wrong.detail)[:200]}."
    return problem(request, Refusal(Code.BAD_REQUEST, said, "Go back and try again."), wrong.status_code)


async def _on_invalid(request: Request, wrong: RequestValidationError) -> Response:
    """Names the fields, and shows no value that was sent: it may be long or secret."""
    faults = "; ".join(f"{each['loc'][-1]}: {each['msg']}"[:200] for each in wrong.errors()[:5])
    return problem(request, Refusal(Code.BAD_REQUEST, f"{faults}.", "Correct it and send it again."))


async def _on_sender_gone(request: Request, _wrong: SenderGone) -> Response:
    return problem(request, Refusal(Code.BAD_REQUEST, "The form broke off on its way.", "Send it again."))


async def _on_mistake(request: Request, wrong: Exception) -> Response:
    log_mistake(request.scope, wrong)
    said = f"Tell the operator the request's id, {request.scope[REQUEST_ID]}; the server's log explains it."
    return problem(request, Refusal(Code.BAD_REQUEST, "The server made a mistake.", said), 500)

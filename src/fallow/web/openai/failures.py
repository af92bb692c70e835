"""Whatever goes wrong under /v1 leaves it as {"error": {"message", "type", "param", "code"}}."""

from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fallow.core.refusals import Code, Refusal
from fallow.protocols.openai.errors import error_body, headers_of, refusal_body, status_of
from fallow.web.failures import REQUEST_ID, Handler, log_mistake
from fallow.web.streams import SenderGone


def refused(refusal: Refusal) -> Response:
    """A refusal as an HTTP answer."""
    return Response(refusal_body(refusal), status_of(refusal.code), headers_of(refusal), "application/json")


def handlers() -> dict[int | type[Exception], Handler]:
    """By kind of exception, for the application's exception_handlers."""
    return {
        Refusal: _on_refusal,
        RequestValidationError: _on_invalid,
        HTTPException: _on_http,
        SenderGone: _on_sender_gone,
        Exception: _on_mistake,
    }


async def _on_refusal(_request: Request, wrong: Any) -> Response:
    return refused(wrong)


async def _on_sender_gone(_request: Request, _wrong: Any) -> Response:
    return refused(Refusal(Code.BAD_REQUEST, "The request's body broke off.", "Send it again."))


async def _on_invalid(_request: Request, wrong: RequestValidationError) -> Response:
    """Of the query and the path: bodies are parsed by bodies.parsed()."""
    first = wrong.errors()[0]
    field = ".".join(str(each)[:80] for each in first.get("loc", ())[1:])
    return refused(Refusal(Code.BAD_REQUEST, f"Invalid {field!r}: {first.get('msg')}.", "", {"field": field}))


async def _on_http(request: Request, wrong: HTTPException) -> Response:
    if isinstance(wrong.__cause__, Refusal):  # a body that was refused while the framework read it
        return refused(wrong.__cause__)
    status = wrong.status_code
    if status == HTTPStatus.NOT_FOUND:
        message = f"Unknown request URL: {request.method[:20]} {request.url.path[:200]}."
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"{request.url.path[:200]} does not take {request.method[:20]}."
    else:
        message = str(wrong.detail)[:200]
    code = HTTPStatus(status).phrase.lower().replace(" ", "_")
    return Response(error_body(status, message, code), status, wrong.headers, "application/json")


async def _on_mistake(request: Request, wrong: Exception) -> Response:
    log_mistake(request.scope, wrong)
    message = f"The server made a mistake. Tell its operator the request's id, {request.scope[REQUEST_ID]}."
    return Response(error_body(500, message, "internal"), 500, media_type="application/json")

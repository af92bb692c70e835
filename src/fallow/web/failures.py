"""Whatever goes wrong behind the door leaves it as {"error": {"code", "message", "remedy", "details"}}."""

from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.refusals import INTERNAL, error_body, headers_of, refusal_body, status_of
from fallow.web.streams import SenderGone

Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]
REQUEST_ID = "fallow.request_id"  # the scope's member
_LOGGED = "fallow.logged"
_FAULTS_SHOWN = 20
_log = structlog.get_logger("fallow.web")


def refused(refusal: Refusal) -> Response:
    """A refusal as an HTTP answer."""
    return Response(refusal_body(refusal), status_of(refusal.code), headers_of(refusal), "application/json")


def log_mistake(scope: Scope, wrong: Exception) -> None:
    """The whole story, once, before the caller hears of it: the framework raises the same exception again."""
    if scope.get(_LOGGED) is not wrong:
        scope[_LOGGED] = wrong
        request_id, method = scope[REQUEST_ID], scope["method"]
        _log.error("request.failed", request_id=request_id, method=method, route=route_of(scope), exc_info=wrong)


def route_of(scope: Scope) -> str:
    """The template, such as "/api/jobs/{job_id}": there are few, and they hold no ids."""
    return str(getattr(scope.get("route"), "path", "")) or "none"


def internal(request_id: str) -> Response:
    """An answer to what should not have happened; the log has the same id and the whole story."""
    body = error_body(
        INTERNAL,
        "The server made a mistake.",
        f"Tell the operator the request's id, {request_id}; the server's log explains it.",
        request_id=request_id,
    )
    return Response(body, 500, media_type="application/json")


def handlers() -> dict[int | type[Exception], Handler]:
    """By kind of exception, for an application's exception_handlers."""
    return {
        Refusal: _on_refusal,
        RequestValidationError: _on_invalid,
        HTTPException: _on_http,
        SenderGone: _on_sender_gone,
        Exception: _on_mistake,
    }


async def _on_refusal(_request: Request, wrong: Exception) -> Response:
    if not isinstance(wrong, Refusal):
        raise wrong
    return refused(wrong)


async def _on_mistake(request: Request, wrong: Exception) -> Response:
    log_mistake(request.scope, wrong)
    return internal(request.scope[REQUEST_ID])


async def _on_sender_gone(_request: Request, _wrong: Exception) -> Response:
    return refused(Refusal(Code.BAD_REQUEST, "The request's body broke off.", "Send it again."))


async def _on_http(request: Request, wrong: Exception) -> Response:
    if not isinstance(wrong, HTTPException):
        raise wrong
    if isinstance(wrong.__cause__, Refusal):  # a body that was refused while the framework read it
        return refused(wrong.__cause__)
    if wrong.status_code == HTTPStatus.NOT_FOUND:
        refusal = Refusal(Code.NOT_FOUND, "There is nothing at this address.", "The calls are listed at /docs.")
    elif wrong.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        refusal = Refusal(
            Code.BAD_REQUEST, f"This address does not take {request.method[:20]}.", "The calls are listed at /docs."
        )
    else:
        refusal = Refusal(Code.BAD_REQUEST, f"{str(wrong.detail)[:200]}.", "Correct the request.")
    return Response(refusal_body(refusal), wrong.status_code, wrong.headers, "application/json")


async def _on_invalid(_request: Request, wrong: Exception) -> Response:
    if not isinstance(wrong, RequestValidationError):
        raise wrong
    faults = [_fault(each) for each in wrong.errors()[:_FAULTS_SHOWN]]
    first = faults[0] if faults else {"field": "body", "problem": "it cannot be read"}
    message = f"{first['field']}: {first['problem']}."
    remedy = "See /docs for what the call takes."
    if first["field"] == "body":
        remedy = "Send a JSON object, with Content-Type: application/json."
    return refused(Refusal(Code.BAD_REQUEST, message, remedy, {"fields": faults}))


def _fault(error: Any) -> dict[str, str]:
    """One of pydantic's findings, without the value that was sent: it may be long or secret."""
    return {
        "field": _field(error.get("loc", ())),
        "problem": str(error.get("msg", "it is not valid"))[:300].rstrip("."),
    }


def _field(path: Sequence[Any]) -> str:
    inner = [str(each)[:80] for each in path[1:]]
    return ".".join(inner) if inner and not (len(path) == 2 and isinstance(path[1], int)) else "body"

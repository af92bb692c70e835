"""/sign-in and what leads in and out: a key, a password, an identity provider, a password link, signing out."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from fallow.core.people import PASSWORD_MAX, PASSWORD_MIN
from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.refusals import headers_of, status_of
from fallow.web.browsers import (
    browser_of,
    check_own_site,
    drop_session,
    is_secure,
    keep_session,
    own_path,
    session_cookie,
)
from fallow.web.deps import Door, TheDoor
from fallow.web.oidc import CALLBACK, COOKIE, COOKIE_SECONDS, Oidc
from fallow.web.ui.rendering import render, see_other
from fallow.web.ui.visitor import Acting

router = APIRouter()
Next = Annotated[str, Query(max_length=4000)]
Typed = Annotated[str, Form(max_length=2 * PASSWORD_MAX)]
Token = Annotated[str, Form(max_length=400)]
_OIDC_PATH = "/sign-in/oidc"


@router.get("/sign-in")
def sign_in_page(door: TheDoor, request: Request, next: Next = "") -> Response:
    """The form; straight on for somebody who is signed in."""
    cookie = session_cookie(request, door.settings)
    if cookie:
        try:
            door.people.sessions.open(cookie)
        except Refusal:
            answer = _form(door, request, own_path(next))
            drop_session(answer, door.settings)
            return answer
        return see_other(own_path(next))
    return _form(door, request, own_path(next))


@router.post("/sign-in")
def sign_in(
    door: TheDoor,
    request: Request,
    key: Typed = "",
    email: Typed = "",
    password: Typed = "",
    next: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    """With a key where one is given, else with an address and a password."""
    path = own_path(next)
    try:
        check_own_site(request, door.settings)
        browser = browser_of(request, door.settings)
        entrance = door.people.entrance
        cookie = entrance.with_key(key, browser) if key.strip() else entrance.with_password(email, password, browser)
    except Refusal as refusal:
        answer = _form(door, request, path, refusal, email)
        answer.headers.update(headers_of(refusal) if refusal.code is Code.TOO_MANY else {})
        return answer
    return _in(door, cookie, path)


@router.post("/sign-out")
def sign_out(door: TheDoor, request: Request, who: Acting) -> Response:
    """The session is over, here and in its row."""
    door.people.sessions.end(session_cookie(request, door.settings))
    answer = see_other("/sign-in", "done", f"{who.account_name} is signed out.")
    drop_session(answer, door.settings)
    return answer


@router.get("/sign-in/password")
def password_form(door: TheDoor, request: Request, token: Annotated[str, Query(max_length=400)]) -> Response:
    """Where a password link leads."""
    return _password(request, token, door.people.accounts.of_link(token).email or "")


@router.post("/sign-in/password")
def set_password(door: TheDoor, request: Request, token: Token, password: Typed, again: Typed) -> Response:
    """Sets it, and leads to the sign-in, where it can be tried."""
    check_own_site(request, door.settings)
    account = door.people.accounts.of_link(token)
    try:
        if password != again:
            raise Refusal(Code.BAD_REQUEST, "The two passwords differ.", "Type the same one twice.")
        door.people.accounts.use_link(token, password)
    except Refusal as refusal:
        return _password(request, token, account.email or "", refusal)
    answer = see_other("/sign-in", "done", "The password is set. Sign in with it.")
    drop_session(answer, door.settings)
    return answer


@router.get(_OIDC_PATH)
def to_provider(door: TheDoor, next: Next = "") -> Response:
    """Off to the identity provider."""
    address, cookie = _oidc(door).depart(own_path(next))
    answer = RedirectResponse(address, 303, {"cache-control": "no-store"})
    secure = is_secure(door.settings)
    answer.set_cookie(COOKIE, cookie, COOKIE_SECONDS, path=_OIDC_PATH, secure=secure, httponly=True, samesite="lax")
    return answer


@router.get(CALLBACK)
def from_provider(
    door: TheDoor,
    request: Request,
    state: Annotated[str, Query(max_length=500)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    error: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """Back from the identity provider."""
    try:
        identity, path = _oidc(door).arrive(request.cookies.get(COOKIE, ""), state, code, error)
        cookie = door.people.entrance.with_identity(identity, browser_of(request, door.settings))
    except Refusal as refusal:
        answer = _form(door, request, "/jobs", refusal)
    else:
        answer = _in(door, cookie, path)
    answer.delete_cookie(COOKIE, path=_OIDC_PATH, secure=is_secure(door.settings), httponly=True, samesite="lax")
    return answer


def _oidc(door: Door) -> Oidc:
    if door.oidc is None:
        raise Refusal(Code.NOT_FOUND, "This server has no identity provider.", "Sign in with a key or a password.")
    return door.oidc


def _in(door: Door, cookie: str, path: str) -> Response:
    answer = see_other(path)
    keep_session(answer, door.settings, cookie)
    return answer


def _form(door: Door, request: Request, path: str, problem: Refusal | None = None, email: str = "") -> Response:
    return render(
        request,
        "sign_in.html",
        status=status_of(problem.code) if problem else 200,
        problem=problem,
        next_path=path,
        email=email[:254],
        provider=door.settings.oidc_name if door.oidc else "",
        provider_path=f"{_OIDC_PATH}?next={quote(path, safe='')}",
    )


def _password(request: Request, token: str, email: str, problem: Refusal | None = None) -> Response:
    status = status_of(problem.code) if problem else 200
    return render(
        request, "password.html", status=status, problem=problem, token=token, email=email, shortest=PASSWORD_MIN
    )

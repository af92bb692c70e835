"""/account: one's own name, address and password, rights, API keys, and the browsers that are signed in."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from fallow.control.accounts import Asked
from fallow.control.callers import is_good
from fallow.control.sessions import name_of
from fallow.core.people import PASSWORD_MAX, PASSWORD_MIN, checked_name
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Scope
from fallow.protocols.rest.refusals import status_of
from fallow.web.deps import Door, TheDoor
from fallow.web.ui.boinc_part import boinc_part
from fallow.web.ui.figures import short
from fallow.web.ui.rendering import render, see_other
from fallow.web.ui.standing_part import standing_part
from fallow.web.ui.visitor import Acting, Visiting, Visitor

router = APIRouter()
PAGE: Final = "/account"
_DAYS: Final = (7, 30, 90, 365)
_KEYS_SHOWN: Final = 200
_SESSIONS_SHOWN: Final = 50
_BROWSERS: Final = {"Firefox/": "Firefox", "Edg/": "Edge", "OPR/": "Opera", "Chrome/": "Chrome", "Safari/": "Safari"}
_SYSTEMS: Final = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
Line = Annotated[str, Form(max_length=400)]
Password = Annotated[str, Form(max_length=2 * PASSWORD_MAX)]


@router.get(PAGE)
def account(door: TheDoor, request: Request, who: Visiting) -> Response:
    """Everything of one's own."""
    return page(door, request, who)


@router.post(PAGE)
def change(door: TheDoor, request: Request, who: Acting, name: Line, email: Line = "") -> Response:
    """Another name, another address."""
    try:
        door.people.accounts.change(who.caller, who.caller.account_id, Asked(name=name, email=email.strip()))
    except Refusal as refusal:
        return page(door, request, who, problem=refusal)
    return see_other(PAGE, "done", "Your details are changed.")


@router.post(f"{PAGE}/password")
def change_password(
    door: TheDoor, request: Request, who: Acting, old: Password, new: Password, again: Password
) -> Response:
    """A new password; the other browsers are signed out."""
    try:
        if new != again:
            raise Refusal(Code.BAD_REQUEST, "The two new passwords differ.", "Type the same one twice.")
        door.people.accounts.change_password(who.caller, old, new)
    except Refusal as refusal:
        return page(door, request, who, problem=refusal)
    return see_other(PAGE, "done", "Your password is changed. All other browsers are signed out.")


@router.post(f"{PAGE}/keys")
def make_key(
    door: TheDoor,
    request: Request,
    who: Acting,
    name: Line,
    scope: Annotated[list[Scope], Form()] = [],  # noqa: B006  FastAPI copies the default
    days: Annotated[int, Form(ge=0, le=3650)] = 0,
) -> Response:
    """A new key, shown on the page that answers, and never again."""
    try:
        if not scope:
            raise Refusal(Code.BAD_REQUEST, "The key may do nothing.", "Choose what it may do.")
        caller, label = who.caller, checked_name(name)
        row, key = door.keys.create(caller, label, frozenset(scope), caller.account_id, days * 86400 or None)
    except Refusal as refusal:
        return page(door, request, who, problem=refusal)
    return page(door, request, who, new_key=(row.name, key))


@router.post(f"{PAGE}/keys/revoke")
def revoke_key(door: TheDoor, who: Acting, key_id: Line) -> Response:
    """One of one's own keys opens nothing any more."""
    if key_id not in {row.key_id for row in door.keys.own(who.caller)}:
        raise Refusal(Code.NOT_FOUND, "There is no such key of yours.", "See your account.")
    door.keys.revoke(who.caller, key_id)
    door.signin.forget()
    return see_other(PAGE, "done", "The key is revoked: it opens nothing any more.")


@router.post(f"{PAGE}/sessions/end")
def end_session(door: TheDoor, who: Acting, session: Line = "") -> Response:
    """One browser, or all but this one."""
    if session:
        door.people.sessions.end_one(who.caller, session)
        return see_other(PAGE, "done", "That browser is signed out.")
    count = door.people.sessions.end_others(who.caller)
    return see_other(PAGE, "done", f"{count} other {'browser is' if count == 1 else 'browsers are'} signed out.")


def browser_name(agent: str) -> str:
    """What people call it: "Firefox on Windows"; its own words where it is none of those known here."""
    browser = next((name for sign, name in _BROWSERS.items() if sign in agent), "")
    system = next((name for sign, name in _SYSTEMS.items() if sign in agent), "")
    return " on ".join(part for part in (browser, system) if part) or short(agent, 40) or "unknown"


def page(
    door: Door,
    request: Request,
    who: Visitor,
    problem: Refusal | None = None,
    new_key: tuple[str, str] | None = None,
) -> Response:
    """The page. new_key: (its name, what is shown once)."""
    caller, now = who.caller, door.clock.now()
    keys = door.keys.own(caller)
    good = [row for row in keys if is_good(row, now)]
    return render(
        request,
        "account.html",
        status=status_of(problem.code) if problem else 200,
        problem=problem,
        new_key=new_key,
        account=door.people.accounts.one(caller, caller.account_id),
        grants=door.people.grants.listed(caller, caller.account_id),
        keys=good[::-1][:_KEYS_SHOWN],
        keys_gone=len(keys) - len(good),
        scopes=sorted(who.may),
        days=_DAYS,
        sessions=[(name_of(row), row) for row in door.people.sessions.listed(caller)[:_SESSIONS_SHOWN]],
        browser_name=browser_name,
        shortest=PASSWORD_MIN,
        boinc=boinc_part(door, caller),
        standing=standing_part(door, caller),
    )

"""/people and /person, for operators: who there is, what they may do, and how the fleet is divided between them."""

from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from fallow.control.accounts import Asked
from fallow.control.callers import is_good
from fallow.core.people import Role, roles_of
from fallow.core.refusals import Code, Refusal
from fallow.core.shares import faded, percentages
from fallow.core.words import Scope
from fallow.protocols.rest.refusals import status_of
from fallow.store.port import AccountRow, SubmitRight
from fallow.web.deps import Door, TheDoor
from fallow.web.ui.rendering import render, see_other
from fallow.web.ui.visitor import Acting, Visiting, Visitor

router = APIRouter()
PAGE: Final = "/people"
_SHOWN: Final = 100
_SHARE: Final = "share:"
Line = Annotated[str, Form(max_length=400)]
Roles = Annotated[list[Role], Form()]


@router.get(PAGE)
def people(
    door: TheDoor, request: Request, who: Visiting, after: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """All accounts, a page at a time."""
    return _list(door, request, who, after)


@router.post(PAGE)
def add(
    door: TheDoor,
    request: Request,
    who: Acting,
    name: Line,
    email: Line = "",
    role: Roles = [],  # noqa: B006  FastAPI copies the default
) -> Response:
    """A new account, and the link that lets its owner choose a password."""
    try:
        scopes = frozenset(each.scope for each in role)
        made = door.people.accounts.create(who.caller, Asked(name=name, email=email.strip() or None, scopes=scopes))
    except Refusal as refusal:
        return _list(door, request, who, problem=refusal)
    return _person(
        door, request, who, made.account_id, link=made.email is not None, said=f"{made.name} has an account."
    )


async def form_fields(request: Request) -> dict[str, str]:
    """The form's texts, by name."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


@router.post(f"{PAGE}/shares")
def set_shares(
    door: TheDoor, request: Request, who: Acting, sent: Annotated[dict[str, str], Depends(form_fields)]
) -> Response:
    """The shares of the accounts on the page, those that differ."""
    _check(who)
    changed = 0
    try:
        for name, text in sent.items():
            if name.startswith(_SHARE):
                changed += _set_share(door, who, name.removeprefix(_SHARE), text)
    except Refusal as refusal:
        return _list(door, request, who, problem=refusal)
    said = "1 share is changed." if changed == 1 else f"{changed or 'No'} shares are changed."
    return see_other(PAGE, "done", said)


def _set_share(door: Door, who: Visitor, account_id: str, text: str) -> bool:
    try:
        share = float(text)
    except ValueError:
        raise Refusal(Code.BAD_REQUEST, f"{text[:40]!r} is not a number.", "Write a share like 2 or 0.5.") from None
    if door.people.accounts.one(who.caller, account_id).share == share:
        return False
    door.people.accounts.change(who.caller, account_id, Asked(share=share))
    return True


@router.get("/person")
def person(
    door: TheDoor, request: Request, who: Visiting, account_id: Annotated[str, Query(max_length=128)]
) -> Response:
    """One account, as its operator sees it."""
    return _person(door, request, who, account_id)


@router.post("/person")
def change(
    door: TheDoor,
    request: Request,
    who: Acting,
    account_id: Line,
    name: Line,
    email: Line = "",
    role: Roles = [],  # noqa: B006
) -> Response:
    """Name, address and roles."""
    asked = Asked(name=name, email=email.strip(), scopes=frozenset(each.scope for each in role))
    return _changed(door, request, who, account_id, asked, "Changed.")


@router.post("/person/submit-right")
def set_right(
    door: TheDoor, request: Request, who: Acting, account_id: Line, submit_right: Annotated[SubmitRight, Form()]
) -> Response:
    """All applications, the granted ones, or none."""
    return _changed(door, request, who, account_id, Asked(submit_right=submit_right), "The right to submit is changed.")


@router.post("/person/grants")
def grant(door: TheDoor, request: Request, who: Acting, account_id: Line, application: Line) -> Response:
    """One application more."""
    try:
        door.people.grants.grant(who.caller, account_id, application.strip())
    except Refusal as refusal:
        return _person(door, request, who, account_id, problem=refusal)
    return _to_person(account_id, "It is granted.")


@router.post("/person/grants/revoke")
def revoke(door: TheDoor, who: Acting, account_id: Line, application: Line) -> Response:
    """One application less."""
    door.people.grants.revoke(who.caller, account_id, application)
    return _to_person(account_id, "It is taken back.")


@router.post("/person/password-link")
def password_link(door: TheDoor, request: Request, who: Acting, account_id: Line) -> Response:
    """A link, shown on the page that answers."""
    return _person(door, request, who, account_id, link=True)


@router.post("/person/disabled")
def set_disabled(
    door: TheDoor, request: Request, who: Acting, account_id: Line, disabled: Annotated[bool, Form()]
) -> Response:
    """Shut out, or let in again."""
    said = "The account is disabled: its keys and sessions open nothing any more." if disabled else "It is enabled."
    return _changed(door, request, who, account_id, Asked(disabled=disabled), said)


@router.post("/person/keys/revoke")
def revoke_key(door: TheDoor, who: Acting, account_id: Line, key_id: Line) -> Response:
    """One of the account's keys opens nothing any more."""
    _check(who)
    door.keys.revoke(who.caller, key_id)
    door.signin.forget()
    return _to_person(account_id, "The key is revoked.")


def _changed(door: Door, request: Request, who: Visitor, account_id: str, asked: Asked, said: str) -> Response:
    try:
        _check(who)
        door.people.accounts.change(who.caller, account_id, asked)
    except Refusal as refusal:
        return _person(door, request, who, account_id, problem=refusal)
    return _to_person(account_id, said)


def _check(who: Visitor) -> None:
    """Raises Refusal FORBIDDEN for all but operators."""
    who.caller.needs(Scope.OPERATE)


def _to_person(account_id: str, said: str) -> RedirectResponse:
    return see_other(f"/person?account_id={quote(account_id, safe='')}", "done", said)


def _list(door: Door, request: Request, who: Visitor, after: str = "", problem: Refusal | None = None) -> Response:
    _check(who)
    rows, following = door.people.accounts.listed(who.caller, after, _SHOWN)
    everybody = door.people.accounts.everybody(who.caller)
    grants: dict[str, list[str]] = {}
    for each in door.people.grants.of_all(who.caller):
        grants.setdefault(each.account_id, []).append(each.application)
    return render(
        request,
        "people.html",
        status=status_of(problem.code) if problem else 200,
        problem=problem,
        rows=rows,
        next=following,
        roles_of=roles_of,
        roles=list(Role),
        grants=grants,
        count=len(everybody),
        due=percentages({row.account_id: row.share for row in everybody if row.disabled_at is None}),
        had=percentages({row.account_id: _used(door, row) for row in everybody}),
    )


def _person(
    door: Door,
    request: Request,
    who: Visitor,
    account_id: str,
    *,
    problem: Refusal | None = None,
    link: bool = False,
    said: str = "",
) -> Response:
    _check(who)
    row = door.people.accounts.one(who.caller, account_id)
    made = None
    if link and problem is None:
        try:
            made = door.people.accounts.password_link(who.caller, account_id)
        except Refusal as refusal:
            problem = refusal
    everybody = door.people.accounts.everybody(who.caller)
    now = door.clock.now()
    return render(
        request,
        "person.html",
        status=status_of(problem.code) if problem else 200,
        problem=problem,
        said=said,
        link=made,
        row=row,
        own=roles_of(row.scopes),
        roles=list(Role),
        rights=list(SubmitRight),
        grants=door.people.grants.listed(who.caller, account_id),
        keys=[key for key in door.keys.listed(who.caller) if key.account_id == account_id and is_good(key, now)],
        due=percentages({each.account_id: each.share for each in everybody if each.disabled_at is None}),
        had=percentages({each.account_id: _used(door, each) for each in everybody}),
        used=_used(door, row),
    )


def _used(door: Door, row: AccountRow) -> float:
    return faded(row.used, row.used_at, door.clock.now(), door.settings.share_half_life_seconds)

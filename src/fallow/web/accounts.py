"""People's calls: accounts, rights to submit, one's own account and sessions."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from fallow.control.accounts import Asked
from fallow.control.callers import Caller
from fallow.control.sessions import name_of
from fallow.core.refusals import Code, Refusal
from fallow.core.shares import faded
from fallow.core.words import Scope
from fallow.protocols.rest.accounts import (
    AccountList,
    AccountPatch,
    AccountRequest,
    AccountView,
    GrantList,
    GrantRequest,
    GrantView,
    Me,
    PasswordChange,
    PasswordLink,
    SessionList,
    SessionView,
)
from fallow.protocols.rest.jobs import moment
from fallow.protocols.rest.submissions import check_texts
from fallow.store.port import AccountRow, GrantRow, SessionRow, SubmitRight
from fallow.web.deps import Door, TheDoor, Who

router = APIRouter(prefix="/api", tags=["people"])
After = Annotated[str, Query(max_length=64, description="The `next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]


@router.get("/accounts")
def accounts(door: TheDoor, who: Who, after: After = "", limit: Limit = 100) -> AccountList:
    """All accounts for operators, their own for others."""
    check_texts({"after": after})
    rows, following = door.people.accounts.listed(who, after, limit)
    return AccountList(accounts=[_view(door, row) for row in rows], next=following)


@router.post("/accounts", status_code=201)
def create(door: TheDoor, who: Who, request: AccountRequest) -> AccountView:
    """A new account, for operators. It has no password yet: see password-link."""
    check_texts(request.model_dump())
    asked = Asked(
        name=request.name,
        email=request.email,
        scopes=frozenset(Scope(each) for each in request.scopes),
        share=request.share,
        submit_right=SubmitRight(request.submit_right),
    )
    return _view(door, door.people.accounts.create(who, asked, request.account_id))


@router.get("/accounts/{account_id}")
def account(door: TheDoor, who: Who, account_id: str) -> AccountView:
    """One account."""
    return _view(door, door.people.accounts.one(who, _named(account_id)))


@router.patch("/accounts/{account_id}")
def change(door: TheDoor, who: Who, account_id: str, request: AccountPatch) -> AccountView:
    """Change what is given. Operators may change everything, owners their name and e-mail address."""
    check_texts(request.model_dump())
    asked = Asked(
        name=request.name,
        email=request.email,
        scopes=None if request.scopes is None else frozenset(Scope(each) for each in request.scopes),
        share=request.share,
        submit_right=None if request.submit_right is None else SubmitRight(request.submit_right),
        disabled=request.disabled,
    )
    return _view(door, door.people.accounts.change(who, _named(account_id), asked))


@router.delete("/accounts/{account_id}", status_code=204)
def disable(door: TheDoor, who: Who, account_id: str) -> Response:
    """Disable an account: its keys and sessions open nothing any more. Its jobs stay."""
    door.people.accounts.change(who, _named(account_id), Asked(disabled=True))
    return Response(status_code=204)


@router.get("/accounts/{account_id}/grants")
def grants(door: TheDoor, who: Who, account_id: str) -> GrantList:
    """The applications that an account with submit_right "granted" may submit for."""
    return GrantList(grants=[_grant(row) for row in door.people.grants.listed(who, _named(account_id))])


@router.post("/accounts/{account_id}/grants", status_code=201)
def grant(door: TheDoor, who: Who, account_id: str, request: GrantRequest) -> GrantList:
    """Grant one more application. All that are granted now."""
    check_texts(request.model_dump())
    door.people.grants.grant(who, _named(account_id), request.application)
    return grants(door, who, account_id)


@router.delete("/accounts/{account_id}/grants", status_code=204)
def revoke(
    door: TheDoor, who: Who, account_id: str, application: Annotated[str, Query(min_length=1, max_length=256)]
) -> Response:
    """Take one application back."""
    check_texts({"application": application})
    door.people.grants.revoke(who, _named(account_id), application)
    return Response(status_code=204)


@router.post("/accounts/{account_id}/password-link", status_code=201)
def password_link(door: TheDoor, who: Who, account_id: str) -> PasswordLink:
    """A link that lets the account's owner choose a password, once, within three days."""
    link = door.people.accounts.password_link(who, _named(account_id))
    return PasswordLink(url=link.url, expires_at=moment(link.expires_at) or "")


@router.get("/me")
def me(door: TheDoor, who: Who) -> Me:
    """Who calls, and what they may do."""
    row = door.people.accounts.one(who, who.account_id)
    own = door.people.grants.listed(who, who.account_id)
    return Me(
        account=_view(door, row),
        scopes=sorted(who.scopes),
        key_id=who.key_id or None,
        grants=[_grant(each) for each in own],
    )


@router.post("/me/password", status_code=204)
def change_password(door: TheDoor, who: Who, request: PasswordChange) -> Response:
    """Change one's own password. All other sessions end."""
    check_texts(request.model_dump())
    door.people.accounts.change_password(who, request.old, request.new)
    return Response(status_code=204)


@router.get("/sessions")
def sessions(door: TheDoor, who: Who) -> SessionList:
    """The caller's own browsers that are signed in."""
    return SessionList(sessions=[_session(who, row) for row in door.people.sessions.listed(who)])


@router.delete("/sessions/{session}", status_code=204)
def end(door: TheDoor, who: Who, session: str) -> Response:
    """Sign one of one's own browsers out."""
    door.people.sessions.end_one(who, session)
    return Response(status_code=204)


@router.delete("/sessions", status_code=204)
def end_others(door: TheDoor, who: Who) -> Response:
    """Sign all of one's own browsers out, but the one that asks."""
    door.people.sessions.end_others(who)
    return Response(status_code=204)


def _named(account_id: str) -> str:
    """What cannot be an account's id names none. Raises Refusal NOT_FOUND."""
    if len(account_id) > 128 or not account_id.isascii() or not account_id.isprintable():
        raise Refusal(Code.NOT_FOUND, "There is no such account.", "See fallow account list.")
    return account_id


def _view(door: Door, row: AccountRow) -> AccountView:
    return AccountView(
        account_id=row.account_id,
        name=row.name,
        email=row.email,
        scopes=sorted(row.scopes),
        share=row.share,
        used_seconds=faded(row.used, row.used_at, door.clock.now(), door.settings.share_half_life_seconds),
        submit_right=row.submit_right,
        has_password=row.password is not None,
        created_at=moment(row.created_at) or "",
        disabled_at=moment(row.disabled_at),
    )


def _grant(row: GrantRow) -> GrantView:
    return GrantView(application=row.application, granted_by=row.granted_by, granted_at=moment(row.granted_at) or "")


def _session(who: Caller, row: SessionRow) -> SessionView:
    return SessionView(
        session=name_of(row),
        agent=row.agent,
        created_at=moment(row.created_at) or "",
        seen_at=moment(row.seen_at) or "",
        expires_at=moment(row.expires_at) or "",
        key_id=row.key_id,
        current=row.session_id == who.session_id,
    )

"""Who looks at a page, and what they may do there."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request

from fallow.control.callers import Caller
from fallow.control.sessions import form_token
from fallow.core.words import Scope
from fallow.store.port import SessionRow
from fallow.web.browsers import check_form_token, session_cookie
from fallow.web.deps import door_of
from fallow.web.signin import ANYBODY


@dataclass(frozen=True, slots=True)
class Visitor:
    """csrf_token: what each form of theirs carries. may: what they may do here; empty for anybody at an open server,
    who only looks. session: None for anybody."""

    caller: Caller
    csrf_token: str
    account_name: str
    may: frozenset[Scope]
    session: SessionRow | None = None

    @property
    def signed_in(self) -> bool:
        return bool(self.csrf_token)

    @property
    def operates(self) -> bool:
        return Scope.OPERATE in self.may

    @property
    def submits(self) -> bool:
        return bool(self.may & {Scope.SUBMIT, Scope.OPERATE})


STRANGER: Final = Visitor(ANYBODY, "", "", frozenset())


def visitor(request: Request) -> Visitor:
    """Who is signed in in this browser. Raises Refusal UNAUTHENTICATED, which leads to /sign-in."""
    door = door_of(request)
    found = door.people.sessions.open(session_cookie(request, door.settings))
    caller = found.caller
    return _seen(request, Visitor(caller, form_token(found.session), found.account.name, caller.scopes, found.session))


def looking(request: Request) -> Visitor:
    """The same for /jobs, /job and /workers, which an open server shows to anybody."""
    settings = door_of(request).settings
    if settings.open and not session_cookie(request, settings):
        return _seen(request, STRANGER)
    return visitor(request)


async def acting(request: Request, who: Annotated[Visitor, Depends(visitor)]) -> Visitor:
    """Who sends a form: signed in, and the form is one of ours. Raises Refusal UNAUTHENTICATED or FORBIDDEN."""
    sent = request.headers.get("x-csrf-token") or (await request.form()).get("csrf")
    assert who.session is not None
    check_form_token(request, door_of(request).settings, who.session, sent)
    return who


def _seen(request: Request, who: Visitor) -> Visitor:
    """Templates show the account and put the token into forms."""
    request.state.visitor = who
    return who


Visiting = Annotated[Visitor, Depends(visitor)]
Looking = Annotated[Visitor, Depends(looking)]
Acting = Annotated[Visitor, Depends(acting)]

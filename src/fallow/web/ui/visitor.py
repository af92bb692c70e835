"""Who looks at a page, and what they may do there."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request

from fallow.control.callers import Caller
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Scope
from fallow.web.deps import door_of
from fallow.web.signin import ANYBODY

COOKIE: Final = "fallow_session"
_TOKEN_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Visitor:
    """csrf_token: what each form of theirs carries. may: what they may do here; empty for anybody at an open server,
    who only looks."""

    caller: Caller
    csrf_token: str
    account_name: str
    may: frozenset[Scope]

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
    cookie = request.cookies.get(COOKIE, "")
    caller = door_of(request).signin.caller(f"Bearer {cookie}")
    token = hmac.new(cookie.encode("utf-8", "surrogateescape"), b"csrf", hashlib.sha256).hexdigest()
    return _seen(request, Visitor(caller, token, caller.account_id, caller.scopes))


def looking(request: Request) -> Visitor:
    """The same for /jobs, /job and /workers, which an open server shows to anybody."""
    if door_of(request).settings.open and COOKIE not in request.cookies:
        return _seen(request, STRANGER)
    return visitor(request)


async def acting(request: Request, who: Annotated[Visitor, Depends(visitor)]) -> Visitor:
    """Who sends a form: signed in, and the form is one of ours. Raises Refusal UNAUTHENTICATED or FORBIDDEN."""
    sent = request.headers.get("x-csrf-token") or (await request.form()).get("csrf")
    token = sent[:_TOKEN_MAX] if isinstance(sent, str) else ""
    if not hmac.compare_digest(token.encode("utf-8", "surrogateescape"), who.csrf_token.encode()):
        raise Refusal(
            Code.FORBIDDEN,
            "This form was not made for this sign-in, so nothing was done.",
            "Go back, load the page again, and send it again.",
        )
    return who


def _seen(request: Request, who: Visitor) -> Visitor:
    """Templates show the account and put the token into forms."""
    request.state.visitor = who
    return who


Visiting = Annotated[Visitor, Depends(visitor)]
Looking = Annotated[Visitor, Depends(looking)]
Acting = Annotated[Visitor, Depends(acting)]

"""Who calls /v1: whoever holds an API key. A browser's session is no way in here."""

from typing import Annotated

from fastapi import Depends, Request

from fallow.control.callers import Caller
from fallow.web.deps import door_of


def holder(request: Request) -> Caller:
    """Raises Refusal UNAUTHENTICATED."""
    return door_of(request).signin.caller(request.headers.get("authorization"))


Holder = Annotated[Caller, Depends(holder)]

"""What a form led to, said once on the next page: one sentence in a cookie that this page takes away again."""

import base64
import binascii
import json
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

COOKIE: Final = "fallow_flash"
KINDS: Final = ("done", "problem")
_SAID_MAX: Final = 400
_COOKIE_MAX: Final = 3000
_SECONDS: Final = 60


def leave(answer: Response, kind: str, said: str) -> None:
    """kind: one of KINDS."""
    value = base64.urlsafe_b64encode(json.dumps([kind, said[:_SAID_MAX]]).encode()).decode()
    answer.set_cookie(COOKIE, value, max_age=_SECONDS, httponly=True, samesite="lax")


def read(request: Request) -> tuple[str, str] | None:
    """(kind, sentence); None when there is none, or somebody else wrote the cookie."""
    value = request.cookies.get(COOKIE, "")
    if not value or len(value) > _COOKIE_MAX:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(value.encode()))
    except (binascii.Error, ValueError):
        return None
    match found:
        case [str(kind), str(said)] if kind in KINDS:
            return kind, said[:_SAID_MAX]
    return None


def forget(request: Request, answer: Response) -> None:
    """It has been shown."""
    if COOKIE in request.cookies:
        answer.delete_cookie(COOKIE, httponly=True, samesite="lax")

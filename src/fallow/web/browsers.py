"""Requests of browsers that are signed in: the cookie, where a request was made, and the token that proves it is ours.

A browser sends its cookies along with whatever any site makes it ask for. So what changes something must come from a
page of this server (Sec-Fetch-Site, Origin) and carry the token of its session, which no other site can read.
"""

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from fallow.control.entrance import Browser
from fallow.control.sessions import is_form_token
from fallow.core.refusals import Code, Refusal
from fallow.settings import Settings
from fallow.store.port import SessionRow

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_COOKIE: Final = "fallow_session"
_PATH_MAX: Final = 2000
_TOKEN_MAX: Final = 200


def cookie_name(settings: Settings) -> str:
    """Under https no other host of the domain, and no page without TLS, can plant a cookie of this name."""
    return f"__Host-{_COOKIE}" if is_secure(settings) else _COOKIE


def is_secure(settings: Settings) -> bool:
    return settings.base_url.startswith("https://")


def session_cookie(request: Request, settings: Settings) -> str:
    """ "" where there is none."""
    return request.cookies.get(cookie_name(settings), "")


def keep_session(answer: Response, settings: Settings, cookie: str) -> None:
    """The browser is signed in from this answer on."""
    answer.set_cookie(
        cookie_name(settings),
        cookie,
        max_age=settings.session_seconds,
        path="/",
        secure=is_secure(settings),
        httponly=True,
        samesite="lax",
    )


def drop_session(answer: Response, settings: Settings) -> None:
    """The browser forgets its session."""
    answer.delete_cookie(cookie_name(settings), path="/", secure=is_secure(settings), httponly=True, samesite="lax")


def browser_of(request: Request, settings: Settings) -> Browser:
    """Who knocks, for the entrance."""
    address = request.client.host if request.client else "unknown"
    return Browser(address, request.headers.get("user-agent", ""), session_cookie(request, settings))


def check_own_site(request: Request, settings: Settings) -> None:
    """Raises Refusal FORBIDDEN for a request that another site's page made."""
    came_from = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if came_from not in (None, "same-origin", "none"):
        raise _foreign()
    if (
        origin is not None
        and not (origin == "null" and came_from == "same-origin")
        and not _is_ours(request, settings, origin)
    ):
        raise _foreign()


def _is_ours(request: Request, settings: Settings, origin: str) -> bool:
    hosts = {request.headers.get("host", "").lower(), urlsplit(settings.base_url).netloc.lower()}
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() in hosts


def check_form_token(request: Request, settings: Settings, session: SessionRow, token: object) -> None:
    """Raises Refusal FORBIDDEN unless the token was made for this session, and the request by a page of ours."""
    check_own_site(request, settings)
    if not isinstance(token, str) or not is_form_token(session, token[:_TOKEN_MAX]):
        raise Refusal(
            Code.FORBIDDEN,
            "This form was not made for this sign-in, so nothing was done.",
            "Go back, load the page again, and send it again.",
        )


def own_path(text: str | None, default: str = "/jobs") -> str:
    """Where to go next, if it is a place on this server; else the default. Browsers read a backslash as a slash and
    skip control characters, so that "/\\t/evil.example" would lead away."""
    if not text or len(text) > _PATH_MAX or not text.startswith("/") or text.startswith("//"):
        return default
    if any(char <= " " or char in "\\\x7f" for char in text) or text.startswith(("/sign-in", "/sign-out")):
        return default
    return text if text.isascii() else default


def _foreign() -> Refusal:
    return Refusal(
        Code.FORBIDDEN, "This request came from another site, so nothing was done.", "Use this server's pages."
    )

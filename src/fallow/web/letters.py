"""Where the links in letters lead: no more mail of this kind, and this address is mine.

A GET changes nothing, since mail scanners follow every link; a button or a mail program's one click (RFC 8058) does. No
sign-in and no form token: whoever has the letter may, and the link allows nothing else.
"""

from fastapi import APIRouter, Request
from starlette.responses import Response

from fallow.core.notices import NoticeKind
from fallow.web.deps import TheDoor
from fallow.web.ui.rendering import render

router = APIRouter()


@router.get("/unsubscribe/{token}")
def unsubscribe(door: TheDoor, token: str, request: Request) -> Response:
    said = door.links.read_unsubscribe(token)
    return _page(request, "No more mail like this?", _kinds(said.kinds), "Send no more of these")


@router.post("/unsubscribe/{token}")
def unsubscribed(door: TheDoor, token: str, request: Request) -> Response:
    said = door.links.read_unsubscribe(token)
    door.notices.choose(said.account_id, dict.fromkeys(said.kinds, False))
    return _page(request, "You get no more of these", _kinds(said.kinds), "")


@router.get("/confirm-email/{token}")
def confirm(door: TheDoor, token: str, request: Request) -> Response:
    said = door.links.read_confirm(token)
    return _page(request, "Is this address yours?", [said.email], "Yes, it is mine")


@router.post("/confirm-email/{token}")
def confirmed(door: TheDoor, token: str, request: Request) -> Response:
    said = door.links.read_confirm(token)
    good = door.notices.confirm(said.account_id, said.email)
    title = "The address is confirmed" if good else "The account has another address by now"
    return _page(request, title, [said.email], "")


def _page(request: Request, title: str, lines: list[str], button: str) -> Response:
    return render(request, "letter.html", title=title, lines=lines, button=button)


def _kinds(kinds: tuple[NoticeKind, ...]) -> list[str]:
    return [SAID[kind] for kind in kinds]


SAID = {
    NoticeKind.JOB_COMPLETED: "A job or batch is complete",
    NoticeKind.JOB_FAILED: "A job or batch has failed",
    NoticeKind.JOB_CANCELLED: "A job or batch was cancelled",
    NoticeKind.JOB_EXPIRED: "A job or batch has expired",
    NoticeKind.JOB_NEEDS_ATTENTION: "A job needs attention",
    NoticeKind.WORKER_SILENT: "A worker is silent",
    NoticeKind.SERVER_DISK_LOW: "The server's disk is nearly full",
}
